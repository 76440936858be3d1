import type { Metadata, ServerUnaryCall, status } from '@grpc/grpc-js';
import type { Stats } from './stats.ts';
import type { Values } from './values.ts';

/** The kinds of methods, by the names that grpc-js has for them. */
export type Kind = 'unary' | 'clientStream' | 'serverStream' | 'bidi';

/**
 * What yields the messages of one call, called once per call with the request. Where clients stream, that is
 * `Requests`.
 */
export type Method<Req, Res> = (request: Req, call: Call<Req>) => Source<Res> | Promise<Source<Res>>;

/**
 * What answers one call with one message, or a promise of one: for unary methods, and with `Requests` for those where
 * clients stream. Nothing, or a stream, is the developer's mistake, and ends the call with `INTERNAL`.
 */
export type Answer<Req, Res> = (request: Req, call: Call<Req>) => Res | Promise<Res>;

/**
 * What one client streams, to be read once. At most 17 requests are read ahead of who reads here, and then the client
 * has to wait. It ends when the client has sent all, and throws `signal.reason` when the call is over, or to be over
 * and all that was read ahead has been taken. Leaving the loop early harms nothing.
 */
export interface Requests<Req> extends AsyncIterable<Req> {}

/** The certificate of the client, once it was verified. */
export type AuthContext = ReturnType<ServerUnaryCall<unknown, unknown>['getAuthContext']>;

/** Both ends of the connection of a call, as far as they are known. */
export interface ConnectionInfo {
  /** The address of the server that the client reached. */
  readonly localAddress?: string | undefined;
  /** Its port. */
  readonly localPort?: number | undefined;
  /** The address that the client came from; a proxy has its own. */
  readonly remoteAddress?: string | undefined;
  /** Its port. */
  readonly remotePort?: number | undefined;
}

/**
 * Everything a source may return. Node's `Readable` is an AsyncIterable. An observable cannot be slowed down, so
 * one that runs 1,024 messages ahead of its client ends with `RESOURCE_EXHAUSTED`, after what it had emitted. What
 * it emits in one turn of the event loop, when no client could be served, does not count, up to 131,072.
 *
 * Do not change a message that was yielded: the object itself may be held until its client has taken it.
 */
export type Source<T> = AsyncIterable<T> | Iterable<T> | ReadableStreamLike<T> | ObservableLike<T>;

/** Items that come one after another: an iterator that can be looped over, once, and let go of early. */
export interface Items<T> extends AsyncIterator<T, undefined, unknown>, AsyncDisposable {
  /** Itself. */
  [Symbol.asyncIterator](): this;
}

/** The part of a web `ReadableStream` that is used. */
export interface ReadableStreamLike<T> {
  /** Locks the stream to one reader, which is the call. */
  getReader(): {
    read(): Promise<{ done: boolean; value?: T | undefined }>;
    cancel(reason?: unknown): Promise<void>;
  };
}

/** The part of an observable (RxJS, zen-observable, TC39) that is used. */
export interface ObservableLike<T> {
  /** Begins to emit, until it is unsubscribed from. */
  subscribe(observer: {
    next(value: T): void;
    error(error: unknown): void;
    complete(): void;
  }): { unsubscribe(): void } | (() => void);
}

/** One RPC, as methods and middleware see it. */
export interface Call<Req = unknown> {
  /** The full method name, `/package.Service/Method`. */
  readonly path: string;
  /** Whether one side streams, or both, or none. */
  readonly kind: Kind;
  /**
   * What the client asked for. Where clients stream, the `Requests` that the method reads; `undefined` under `wrap`
   * and `interceptor`, where the handler reads them in its own way.
   */
  readonly request: Req;
  /** What the client sent. */
  readonly metadata: Metadata;
  /** Address of the client, `ip:port`, or `unknown`. */
  readonly peer: string;
  /** The `:authority` the client asked for, as `host:port`. */
  readonly host: string;
  /** Who the client is by its certificate; empty without TLS, and for one whose certificate was not verified. */
  readonly authContext: AuthContext;
  /** Where the connection comes from, and where it ends. */
  readonly connectionInfo: ConnectionInfo;
  /** When the client stops waiting; `undefined` when it waits for ever. */
  readonly deadline: Date | undefined;
  /**
   * Aborts when the call ends before its source does: on cancel, deadline, drain and limits, and when a layer
   * or the wire fails. `signal.reason` is a `StatusError` that says which. Never aborts after a clean end.
   */
  readonly signal: AbortSignal;
  /** Our headers: may be set until they are sent, with the first message or by `sendHeader()`. */
  readonly header: Metadata;
  /** Our trailers: may be set until the end, also in the source's `finally`. */
  readonly trailer: Metadata;
  /**
   * What layers found out about this RPC, for those further in, its method and hooks. All mounts of the RPC have the
   * same.
   */
  readonly values: Values;
  /** What has been sent and waited for. Counted from the first look at it, so look in the factory. */
  readonly stats: Stats;
  /** Sends the headers now, also when there are none to send. Does nothing the second time. */
  sendHeader(): void;
  /** Ends the call now: everybody hears of it, innermost layer first. Does nothing when it has ended already. */
  end(outcome: Outcome): void;
}

/**
 * Why a call ended. `completed`: the source finished. `error`: the source, a layer or the wire failed.
 * `cancelled`: the client said so. `deadline`: its deadline passed. `disconnected`: its connection is gone.
 * `drain`: this server is shutting down. `limit`: a limit of this server was reached.
 */
export type EndReason = 'completed' | 'error' | 'cancelled' | 'deadline' | 'disconnected' | 'drain' | 'limit';

/** How a call ended: one per call, the same for everybody who hears of it. */
export interface Outcome {
  /** The status that the client reads. */
  readonly code: status;
  /** What the client reads. */
  readonly details: string;
  /** What ended the call. */
  readonly reason: EndReason;
  /** Trailers that belong to this status, sent beside those of the call. */
  readonly metadata?: Metadata | undefined;
  /** What was thrown, as it was thrown; never sent. */
  readonly cause?: unknown;
}

/** Where messages go: the next layer out, and at last the wire. */
export interface Sink<Res> {
  /** Takes one message, and neither waits nor throws. */
  message(message: Res): void;
}

/**
 * What one middleware does to one call. Every part is optional, and what a layer leaves out costs nothing.
 * No part may await: work per message that is asynchronous belongs in the source, work per call in the factory.
 */
export interface Layer<Res> {
  /** Around the start of the method: call `inner` now, later, inside a context, or end the call instead. */
  start?(inner: () => void): void;
  /**
   * Each message on its way out. Pass it on to `next`, or another, or several, or none. Of a method that answers once
   * just one arrives: a second one is reported and not sent, and where there is none the call ends with `INTERNAL`.
   */
  message?(message: Res): void;
  /**
   * The end of the call, exactly once, innermost layer first. What is returned goes on to the next layer out, and at
   * last to the client; nothing returned leaves the outcome as it is.
   */
  end?(outcome: Outcome): Outcome | void;
  /** Asked before the next message is pulled from the source; a promise holds the pull. */
  ready?(): void | PromiseLike<void>;
}

/**
 * Makes the layer of one call; `next` is where that layer sends its messages. The call waits for a promise, under its
 * deadline and its cancellation; one that rejects ends the call as an error that is thrown does.
 */
export type Middleware<Req = any, Res = any> = (
  call: Call<Req>,
  next: Sink<Res>,
) => Layer<Res> | void | PromiseLike<Layer<Res> | void>;
