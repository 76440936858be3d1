import { EventEmitter } from 'node:events';
import { Writable } from 'node:stream';
import { type Metadata, status } from '@grpc/grpc-js';
import type { Producer, ServerCall } from '../call/call.ts';
import { isThenable } from '../check.ts';
import { counts } from '../counters.ts';
import { isRead } from '../grpc-js/incoming.ts';
import type { AnyStream, Callback } from '../grpc-js/ports.ts';
import { survive } from '../hooks.ts';
import { NO_ANSWER } from '../kinds.ts';
import { completed, Relay } from '../run/relay.ts';
import { outcomeOfGiven } from '../status/given.ts';
import { isHidden, outcomeOf, StatusError } from '../status/status.ts';
import type { Outcome } from '../types.ts';
import type { AnyHandler } from './handler.ts';
import { Reads } from './reads.ts';

type Written = (error?: Error | null) => void;

/** The last facade of a stream: a wrapped handler might hand its stream to another wrapped handler. */
const last: unique symbol = Symbol('facade');

/** That of anything: users ask by `callOf`. */
export function facadeOf(stream: unknown): Facade | undefined {
  return (stream as { readonly [last]?: Facade } | null | undefined)?.[last];
}

/**
 * The stream that a wrapped handler holds, with our methods. What the handler writes goes through the Writable to the
 * layers of the call; what it says too late is absorbed before the Writable.
 */
export class Facade implements Producer {
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
  /** Of a handler that was handed the stream of another wrapped one: the facade of that. */
  private readonly outer: Facade | undefined;
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
    call.producer = this;
    this.outer = facadeOf(stream);
    if (isRead(stream)) new Reads(stream, call);
    Object.assign(stream, {
      [last]: this,
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
    this.call.report(mistake);
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
    const innermost = facadeOf(this.stream) ?? this;
    if (innermost !== this) return innermost.fail(outcome);
    const { call } = this;
    if (this.give(outcome)) return;
    counts.lateEnds += 1;
    const known = outcome.cause === this.failure?.cause || call.notice.isAbort(outcome.cause);
    if (isHidden(outcome) && !known) call.report(outcome.cause);
  }

  /** The call is over. Unless the handler ended it, the handler might wait for a `drain` that will not come. */
  released(): void {
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

  /** Where the handler writes, nothing can be said on what was destroyed: that is its end. */
  protected destroyed(error: Error | undefined): AnyStream {
    const { relay, stream } = this;
    if (relay.open) this.fail(outcomeOf(error ?? new Error('the handler destroyed its call')));
    else Writable.prototype.destroy.call(stream, error);
    return stream;
  }

  private emitted(event: string, args: unknown[]): boolean {
    if (event === 'error') return this.failed(args);
    if (event !== 'cancelled') return this.emit.call(this.stream, event, ...args);
    this.clientLeft();
    if (this.told) return false;
    this.told = true;
    return this.call.within(() => this.emit.call(this.stream, event, ...args));
  }

  /** Whoever was told of the end before is not told again; those further out are. */
  private clientLeft(): void {
    this.call.clientLeft();
    this.outer?.clientLeft();
  }

  /** The handler emits a status, and all who listen for errors hear of it. */
  protected failed(args: unknown[]): boolean {
    this.fail(outcomeOfGiven(args[0]));
    return this.tell(args);
  }

  /**
   * Tells all who listen for errors. One listener is grpc-js, which throws at some errors. It cannot be told from others
   * who listened before the handler was called: what those throw is ignored.
   */
  protected tell(args: unknown[]): boolean {
    const { call, early, stream } = this;
    this.telling = true;
    for (const event of [EventEmitter.errorMonitor, 'error'])
      for (const listener of stream.rawListeners(event)) {
        try {
          listener.apply(stream, args);
        } catch (error) {
          if (!early.includes(listener)) call.report(error);
        }
      }
    this.telling = false;
    return true;
  }
}

function tagOf(value: unknown): string {
  return typeof value === 'object' && value !== null ? String(Reflect.get(value, Symbol.toStringTag)) : '';
}
