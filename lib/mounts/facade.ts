import { EventEmitter } from 'node:events';
import { Writable } from 'node:stream';
import { type Metadata, status } from '@grpc/grpc-js';
import type { ServerCall } from '../call/call.ts';
import { expected, isThenable } from '../check.ts';
import { counts } from '../counters.ts';
import { callAbove } from '../grpc-js/below.ts';
import { GrpcPort } from '../grpc-js/port.ts';
import { type AnyStream, givenPort, HandlerPort, linkOf } from '../grpc-js/ports.ts';
import { report } from '../report.ts';
import { completed, Relay } from '../run/relay.ts';
import { isErrorCode, isHidden, outcomeOf } from '../status/status.ts';
import type { Call, Outcome } from '../types.ts';
import type { Port, WireStatus } from '../wire/port.ts';

type Written = (error?: Error | null) => void;

/** The last facade of each stream: a wrapped handler might hand its stream to another wrapped handler. */
const facades = new WeakMap<object, Facade>();

export function facadeOf(stream: object): Facade | undefined {
  return facades.get(stream);
}

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

/** How a call goes down from here: to grpc-js, or to the facade that its stream had before. */
export function portOf(stream: AnyStream): Port {
  const outer = facades.get(stream);
  if (outer) return new FacadePort(outer);
  return givenPort(stream) ?? new HandlerPort(stream);
}

/**
 * The stream that a wrapped handler holds, with our methods. What the handler writes goes through the Writable to the
 * layers of the call; what it says too late is absorbed before the Writable.
 */
export class Facade {
  readonly relay: Relay;
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
    private readonly stream: AnyStream,
    readonly call: ServerCall,
  ) {
    this.relay = new Relay(call);
    this.write = stream.write;
    this.end = stream.end;
    this.emit = stream.emit;
    this.early = stream.rawListeners('error');
    this.told = stream.cancelled;
    call.released = () => this.released();
    facades.set(stream, this);
    Object.assign(stream, {
      sendMetadata: (metadata: Metadata) => this.relay.header(metadata),
      write: (...args: Parameters<AnyStream['write']>) => this.written(args),
      end: (metadata?: Metadata) => this.ended(metadata),
      destroy: (error?: Error) => this.destroyed(error),
      emit: (event: string, ...args: unknown[]) => this.emitted(event, args),
      _write: (message: unknown, _encoding: string, ack: () => void) => this.relay.message(message, ack),
      _final: (done: () => void) => void this.relay.status(this.failure ?? completed(this.trailer), done),
    });
  }

  /** Calls the handler; one that rejects fails, and one that has not finished in time is an orphan. */
  run(handler: () => unknown): void {
    try {
      const returned = handler();
      if (!isThenable(returned)) return;
      this.running = returned;
      returned.then(
        () => this.finished(),
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

  /** The handler failed. Where its stream has several facades, the one that the handler holds ends the call. */
  private fail(outcome: Outcome): void {
    const innermost = facades.get(this.stream) ?? this;
    if (innermost !== this) return innermost.fail(outcome);
    const { call, relay, stream } = this;
    if (relay.open && !stream.writableEnded) {
      this.failure = outcome;
      this.end.call(stream);
      return;
    }
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
      Writable.prototype.destroy.call(stream);
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
