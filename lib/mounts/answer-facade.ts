import { Writable } from 'node:stream';
import { types } from 'node:util';
import type { Metadata } from '@grpc/grpc-js';
import { counts } from '../counters.ts';
import type { AnyStream, Callback } from '../grpc-js/ports.ts';
import { CALLS_BACK, mistakeIn } from '../run/answer.ts';
import { codeOf } from '../run/code.ts';
import { completed } from '../run/relay.ts';
import { outcomeOfGiven } from '../status/given.ts';
import { after, type Timer } from '../timers.ts';
import type { Outcome } from '../types.ts';
import type { WireStatus } from '../wire/port.ts';
import { Facade } from './facade.ts';
import type { AnyHandler } from './handler.ts';

/** The facade of a handler that answers by its callback. */
export class AnswerFacade extends Facade {
  private answered = false;
  /** What the handler destroyed its stream with, which that is about to emit. */
  private letGo: Error | undefined;
  /** Tells what a handler that did not call back was. */
  private verdict: Timer | undefined;
  override readonly callback: Callback = (error, message, trailer) => this.respond(error, message, trailer);

  private respond(error: unknown, message: unknown, trailer: Metadata | undefined): void {
    const { relay } = this;
    if (error) return this.fail(this.outcomeOf(error, trailer));
    if (this.answered || !relay.open) {
      counts.lateMessages += 1;
      return;
    }
    // What a codec of their own has for a message is not asked.
    const none = message === undefined || message === null || types.isNativeError(message);
    const mistake = none ? mistakeIn(message, CALLS_BACK) : undefined;
    if (mistake) return this.mistaken(mistake);
    this.answered = true;
    relay.message(message, () => void relay.status(completed(trailer)));
  }

  private outcomeOf(error: unknown, trailer: Metadata | undefined): Outcome {
    const outcome = this.concluded(error) ?? outcomeOfGiven(error);
    return trailer ? { ...outcome, metadata: trailer } : outcome;
  }

  /** Of a mount of ours further in, which said it by a callback of somebody else. */
  private concluded(error: unknown): Outcome | undefined {
    try {
      return this.call.rpc.conclusion(error as WireStatus);
    } catch {
      // What a handler gave may throw when it is looked at.
      return undefined;
    }
  }

  protected override give(outcome: Outcome): boolean {
    const { relay } = this;
    if (this.answered || !relay.open) return false;
    this.answered = true;
    void relay.status(outcome);
    return true;
  }

  /** Who destroys what is read, as `pipeline` does, reads no more. The answer is still that of the callback. */
  protected override destroyed(error: Error | undefined): AnyStream {
    const { stream } = this;
    if (!stream.destroyed) this.letGo = error;
    return Writable.prototype.destroy.call(stream, error) as AnyStream;
  }

  protected override failed(args: unknown[]): boolean {
    const { letGo } = this;
    if (letGo === undefined || args[0] !== letGo) return super.failed(args);
    this.letGo = undefined;
    return this.tell(args);
  }

  /**
   * One that has no parameter for its callback, and has an answer, is a method. One that takes whatever it is given might
   * hand its callback on, and is waited for; what it returned might be no answer, as the timer of a `setTimeout`.
   */
  protected override returned(value: unknown, later: boolean, handler: AnyHandler): void {
    super.returned(value, later, handler);
    if (value === undefined || value === null || this.answered || handler.length > 1) return;
    const plain = Object.getPrototypeOf(value) === Object.prototype;
    if (!later && !plain) return;
    if (takesNoCallback(handler)) return this.isMethod();
    if (!plain && !mayBeAnswer(value)) return;
    this.verdict = after(this.call.settings.cleanupGraceMs, () => this.isMethod()).unref();
  }

  private isMethod(): void {
    if (!this.answered && this.relay.open)
      this.mistaken(
        new TypeError(
          'Expected a handler that calls back, got a method that returns its answer: it goes into `produce`',
        ),
      );
  }

  override released(): void {
    this.verdict?.stop();
    super.released();
  }
}

/** Of handlers that returned something: a text is read once. */
const known = new WeakMap<AnyHandler, boolean>();

/** Whether its text shows that a function has no second parameter, by whatever name. */
function takesNoCallback(handler: AnyHandler): boolean {
  let takesNone = known.get(handler);
  if (takesNone === undefined) {
    const { head, tokens } = codeOf(handler) ?? {};
    takesNone = tokens !== undefined && !['...', '='].some(token => head?.includes(token));
    takesNone &&= !tokens?.includes('arguments');
    known.set(handler, takesNone);
  }
  return takesNone;
}

/** Whether it could be an answer, and is not what a handler has left of somebody who calls it back: a timer, an emitter. */
function mayBeAnswer(value: object): boolean {
  const { on, ref } = value as { on?: unknown; ref?: unknown };
  return (
    typeof value === 'object' &&
    !Array.isArray(value) &&
    typeof on !== 'function' &&
    typeof ref !== 'function'
  );
}
