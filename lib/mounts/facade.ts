import { EventEmitter } from 'node:events';
import { Writable } from 'node:stream';
import { type Metadata, status } from '@grpc/grpc-js';
import type { ServerCall } from '../call/call.ts';
import { expected, isThenable } from '../check.ts';
import { counts } from '../counters.ts';
import { callAbove } from '../grpc-js/below.ts';
import { isRead } from '../grpc-js/incoming.ts';
import { GrpcPort } from '../grpc-js/port.ts';
import {
  type AnyStream,
  type Callback,
  CallbackPort,
  givenPort,
  HandlerPort,
  isWayOfStream,
  linkOf,
} from '../grpc-js/ports.ts';
import { survive } from '../hooks.ts';
import { report } from '../report.ts';
import { mistakeIn, NO_ANSWER } from '../run/answer.ts';
import { completed, Relay } from '../run/relay.ts';
import { isErrorCode, isHidden, outcomeOf, StatusError } from '../status/status.ts';
import type { Call, ConnectionInfo, Outcome } from '../types.ts';
import type { Port, WireStatus } from '../wire/port.ts';
import type { AnyHandler } from './handler.ts';
import { Reads } from './reads.ts';

type Written = (error?: Error | null) => void;

/** The last facade of each stream: a wrapped handler might hand its stream to another wrapped handler. */
const facades = new WeakMap<object, Facade>();

/**
 * The `Call` behind the stream that a handler was given: its signal, which also tells of a drain, its peer, its
 * stats. For handlers that `wrap` or `interceptor` covers.
 *
 * @example
 * wrap(async stream => {
 *   const { signal } = callOf(stream);
 *   for await (const row of rows({ signal })) stream.write(row);
 *   stream.end();
 * });
 * @throws TypeError when neither of them covers the handler.
 */
export function callOf(stream: object): Call {
  const call: Call | undefined = facades.get(stream)?.call ?? callAbove(linkOf(stream));
  if (call === undefined)
    throw expected('stream', 'what a handler under `wrap` or `interceptor` was called with', stream);
  return call;
}

/** The port of a stream that has a facade already: down to the layers of that first one. */
class FacadePort extends GrpcPort {
  constructor(private readonly outer: Facade) {
    super(undefined);
  }

  override get identity(): object | undefined {
    return this.outer.call.wire.identity;
  }

  override get connectionInfo(): ConnectionInfo {
    return this.outer.call.wire.connectionInfo;
  }

  override belongsTo(server: object): boolean {
    return this.outer.call.wire.belongsTo(server);
  }

  header(metadata: Metadata): void {
    this.outer.relay.header(metadata);
  }

  message(message: unknown, ack: () => void): void {
    this.outer.relay.message(message, ack);
  }

  status(last: WireStatus): void {
    const { call, relay } = this.outer;
    const reason = last.code === status.OK ? 'completed' : 'error';
    void relay.status(call.rpc.conclusion(last) ?? { ...last, reason });
  }
}

/** How a call goes down from here: to grpc-js, or to what it was wrapped with before. */
export function portOf(stream: AnyStream, callback: Callback | undefined): Port {
  const outer = facades.get(stream);
  if (outer && (callback === undefined || outer.callback === callback)) return new FacadePort(outer);
  if (outer === undefined) {
    const given = givenPort(stream);
    if (given) return given;
    if (isWayOfStream(stream, callback)) return new HandlerPort(stream);
  }
  return new CallbackPort(stream, callback as Callback);
}

/**
 * The stream that a wrapped handler holds, with our methods. What the handler writes goes through the Writable to the
 * layers of the call; what it says too late is absorbed before the Writable.
 */
export class Facade {
  readonly relay: Relay;
  /** What the handler answers with, where it does not write. */
  readonly callback: Callback | undefined = undefined;
  /** What a call that is answered by a callback need not be. */
  private readonly writable: boolean;
  private readonly write: AnyStream['write'];
  private readonly end: AnyStream['end'];
  private readonly emit: AnyStream['emit'];
  /** Who listened for errors before the handler was called: grpc-js, and perhaps others. */
  private readonly early: ReturnType<AnyStream['rawListeners']>;
  private trailer: Metadata | undefined;
  private failure: Outcome | undefined;
  /** The handler was told that it is cancelled. */
  private told: boolean;
  /** Listeners are being told of an error that the handler emitted; one of them is grpc-js, which calls `end()`. */
  private telling = false;
  /** What an `async` handler returned. */
  private running: PromiseLike<unknown> | undefined;

  constructor(
    protected readonly stream: AnyStream,
    readonly call: ServerCall,
  ) {
    this.relay = new Relay(call);
    this.writable = '_write' in stream;
    this.write = stream.write;
    this.end = stream.end;
    this.emit = stream.emit;
    this.early = stream.rawListeners('error');
    this.told = stream.cancelled;
    call.released = () => this.released();
    facades.set(stream, this);
    if (isRead(stream)) new Reads(stream, call);
    Object.assign(stream, {
      sendMetadata: (metadata: Metadata) => this.relay.header(metadata),
      emit: (event: string, ...args: unknown[]) => this.emitted(event, args),
    });
    if (!this.writable) return;
    Object.assign(stream, {
      write: (...args: Parameters<AnyStream['write']>) => this.written(args),
      end: (metadata?: Metadata) => this.ended(metadata),
      destroy: (error?: Error) => this.destroyed(error),
      _write: (message: unknown, _encoding: string, ack: () => void) => this.relay.message(message, ack),
      _final: (done: () => void) => void this.relay.status(this.failure ?? completed(this.trailer), done),
    });
  }

  /** Calls the handler; one that rejects fails, and one that has not finished in time is an orphan. */
  run(handler: AnyHandler, self: unknown): void {
    try {
      const returned: unknown = handler.call(self, this.stream, this.callback);
      if (!isThenable(returned)) return survive(() => this.returned(returned, false, handler));
      this.running = returned;
      returned.then(
        value => {
          this.finished();
          survive(() => this.returned(value, true, handler));
        },
        error => {
          this.finished();
          this.fail(outcomeOf(error));
        },
      );
      if (!this.call.open) this.call.watch(returned);
    } catch (error) {
      this.fail(outcomeOf(error));
    }
  }

  private finished(): void {
    this.running = undefined;
  }

  /** A handler returns nothing: what does is a method that nobody would hear of. */
  protected returned(value: unknown, _later: boolean, _handler: AnyHandler): void {
    if (/^(Async)?Generator$/.test(tagOf(value)))
      this.mistaken(new TypeError('Expected a handler, got a method that yields: it goes into `produce`'));
  }

  protected mistaken(mistake: TypeError): void {
    report(mistake, this.call);
    this.fail(outcomeOf(new StatusError(status.INTERNAL, NO_ANSWER, { cause: mistake })));
  }

  /** The status of a handler, unless it gave one before. */
  protected give(outcome: Outcome): boolean {
    const { relay, stream } = this;
    if (!relay.open || stream.writableEnded) return false;
    this.failure = outcome;
    this.end.call(stream);
    return true;
  }

  /** The handler is done, and not well. Of several facades, the one that it holds hears of it. */
  protected fail(outcome: Outcome): void {
    const innermost = facades.get(this.stream) ?? this;
    if (innermost !== this) return innermost.fail(outcome);
    const { call } = this;
    if (this.give(outcome)) return;
    counts.lateEnds += 1;
    const known = outcome.cause === this.failure?.cause || call.isAbort(outcome.cause);
    if (isHidden(outcome) && !known) report(outcome.cause, call);
  }

  /** The call is over. Unless the handler ended it, the handler might wait for a `drain` that will not come. */
  private released(): void {
    const { relay, running, stream } = this;
    if (running) this.call.watch(running);
    if (relay.ended) return;
    const waits = stream.writableNeedDrain;
    process.nextTick(() => {
      if (!this.told) {
        this.told = true;
        stream.cancelled = true;
        EventEmitter.prototype.emit.call(stream, 'cancelled', 'cancelled');
      }
      if (waits) stream.emit('drain');
      if (this.writable) Writable.prototype.destroy.call(stream);
    });
  }

  private written(args: Parameters<AnyStream['write']>): boolean {
    const { relay, stream } = this;
    if (relay.open && !stream.writableEnded) return this.write.apply(stream, args);
    counts.lateMessages += 1;
    const callback = (args as unknown[]).find(argument => typeof argument === 'function');
    // A handler that throws this error does not fail by itself.
    if (callback) process.nextTick(callback as Written, new DOMException('the call is over', 'AbortError'));
    return false;
  }

  private ended(metadata: Metadata | undefined): AnyStream {
    const { relay, stream, telling } = this;
    if (telling) return stream;
    if (stream.writableEnded || !relay.open) counts.lateEnds += 1;
    else {
      this.trailer = metadata;
      this.end.call(stream);
    }
    return stream;
  }

  private destroyed(error: Error | undefined): AnyStream {
    const { relay, stream } = this;
    if (relay.open) this.fail(outcomeOf(error ?? new Error('the handler destroyed its call')));
    else Writable.prototype.destroy.call(stream, error);
    return stream;
  }

  private emitted(event: string, args: unknown[]): boolean {
    if (event === 'error') return this.failed(args);
    if (event !== 'cancelled') return this.emit.call(this.stream, event, ...args);
    this.call.clientLeft();
    if (this.told) return false;
    this.told = true;
    return this.call.within(() => this.emit.call(this.stream, event, ...args));
  }

  /**
   * The handler emits a status, and all who listen for errors hear of it. One listener is grpc-js, which throws at some
   * errors. It cannot be told from others who listened before the handler was called: what those throw is ignored.
   */
  private failed(args: unknown[]): boolean {
    const { call, early, stream } = this;
    this.fail(outcomeOfGiven(args[0]));
    this.telling = true;
    for (const event of [EventEmitter.errorMonitor, 'error'])
      for (const listener of stream.rawListeners(event)) {
        try {
          listener.apply(stream, args);
        } catch (error) {
          if (!early.includes(listener)) report(error, call);
        }
      }
    this.telling = false;
    return true;
  }
}

/** The facade of a handler that answers by its callback. */
export class AnswerFacade extends Facade {
  private answered = false;
  override readonly callback: Callback = (error, message, trailer) => this.respond(error, message, trailer);

  private respond(error: unknown, message: unknown, trailer: Metadata | undefined): void {
    const { relay } = this;
    if (error) return this.fail(this.outcomeOf(error, trailer));
    if (this.answered || !relay.open) {
      counts.lateMessages += 1;
      return;
    }
    const mistake = message === undefined || message === null ? mistakeIn(message) : undefined;
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

  /** One that has no parameter for its callback, and has an answer, is a method. */
  protected override returned(value: unknown, later: boolean, handler: AnyHandler): void {
    super.returned(value, later, handler);
    if (value === undefined || value === null || this.answered || handler.length > 1) return;
    if (later || Object.getPrototypeOf(value) === Object.prototype)
      this.mistaken(
        new TypeError(
          'Expected a handler that calls back, got a method that returns its answer: it goes into `produce`',
        ),
      );
  }
}

function tagOf(value: unknown): string {
  return typeof value === 'object' && value !== null ? String(Reflect.get(value, Symbol.toStringTag)) : '';
}

/** What Node, or a child process, leaves on an error whose `code` is no status: an exit code, an error number. */
const NOT_A_STATUS = ['syscall', 'errno', 'cmd', 'spawnargs', 'signal', 'killed', 'exitCode'];

/**
 * The outcome of what a handler emitted as its status, `{ code, message }` and `{ code, details }` alike. An error that
 * the handler only handed on, such as one of Node's, is judged as if it had been thrown.
 */
function outcomeOfGiven(given: unknown): Outcome {
  const outcome = outcomeOf(given);
  try {
    const { code, details, message, metadata } = given as Partial<Record<string, unknown>>;
    const meant = isErrorCode(code) && details === undefined && typeof message === 'string';
    if (!meant || given instanceof DOMException) return outcome;
    if (NOT_A_STATUS.some(name => name in (given as object))) return outcome;
    return { ...outcomeOf({ code, details: message, metadata }), cause: given };
  } catch {
    return outcome;
  }
}
