/**
 * Runs a source or a handler without a network, for unit tests of what you produce.
 * @module
 */
import { Metadata } from '@grpc/grpc-js';
import {
  checkDuration,
  checkFunction,
  checkInteger,
  checkMetadata,
  checkMiddleware,
  checkOptions,
  expected,
  isThenable,
} from '../check.ts';
import { type AnyHandler, type Mounted, type MountedAnswer, partsOf } from '../mounts/handler.ts';
import { handle } from '../mounts/produce.ts';
import { wrap } from '../mounts/wrap.ts';
import { iterate } from '../streams/open.ts';
import { MAX_TIMER_MS } from '../timers.ts';
import type { Answer, AuthContext, Kind, Method, Middleware, Outcome, Requests, Source } from '../types.ts';
import { TestPort } from './test-port.ts';
import { testStream } from './test-stream.ts';

/** What the client of a test sends, and how it behaves. */
export interface TestOptions {
  /**
   * What kind of method is called. Where clients stream, the request is an iterable of what is sent, which is pulled as
   * the method reads, and one that throws is a client that leaves.
   * @default 'serverStream'
   */
  readonly kind?: Kind;
  /** What the client sends beside the request. */
  readonly metadata?: Metadata;
  /** When the client stops waiting: a date, or milliseconds since the epoch. */
  readonly deadline?: Date | number;
  /**
   * The client cancels when it has this many messages; 0 is before the first. Minimum 0.
   * @default never
   */
  readonly cancelAfter?: number;
  /**
   * The client stops reading when it has this many messages, and stays. Minimum 0.
   * @default never
   */
  readonly stallAfter?: number;
  /**
   * How long the client takes for a message, in milliseconds. Minimum 0.
   * @default 0
   */
  readonly slowByMs?: number;
  /** What the source is mounted with; a handler that `produce` or `wrap` made brings its own. */
  readonly middleware?: readonly Middleware[];
  /** Encodes messages, as `mount` would: what cannot be encoded fails, and sizes are known. */
  readonly serialize?: (message: any) => Uint8Array;
  /**
   * How long to wait for the source to finish once the call is over, in milliseconds. Minimum 0.
   * @default 100
   */
  readonly graceMs?: number;
  /**
   * The full name of the method that is called.
   * @default '/leat.testing/Call'
   */
  readonly path?: string;
  /**
   * Where the client calls from.
   * @default '127.0.0.1:50000'
   */
  readonly peer?: string;
  /**
   * The certificate of the client.
   * @default {}
   */
  readonly authContext?: AuthContext;
}

/** Options of a call of this kind. */
export type OfKind<K extends Kind> = TestOptions & { readonly kind: K };

/** What a client streams. */
export type Sent<Req> = Iterable<Req> | AsyncIterable<Req>;

/** One call, when it is over. */
export interface Collected<Res> {
  /** What the client has got, in order. */
  readonly messages: Res[];
  /** The headers; `undefined` when none were sent. */
  readonly header: Metadata | undefined;
  /** The trailers; empty when the client was gone. */
  readonly trailer: Metadata;
  /** How the call ended; the original of an unknown error is its `cause`. */
  readonly outcome: Outcome;
  /** Whether the source has finished, its `finally` included, or was never started. */
  readonly finished: boolean;
}

/** A call in progress, with the client's side of it in hand. */
export interface TestCall<Res> {
  /** What the client has got so far. */
  readonly messages: readonly Res[];
  /** The client stops reading: back-pressure. */
  pause(): void;
  /** It reads again. */
  resume(): void;
  /** It leaves. */
  cancel(): void;
  /** Settles when the call is over; never rejects. */
  readonly result: Promise<Collected<Res>>;
}

/**
 * Calls a method, or a handler that `produce` or `wrap` made, and answers with all the client got. One that is
 * written by hand cannot be told from a method: give `wrap(handler)`. The client takes one message at a time, so
 * that a source is at most one message ahead of it.
 *
 * @example
 * const { messages, outcome, finished } = await collect(listNumbers, { max: 1000 }, { cancelAfter: 3 });
 * expect(messages).to.have.length(3);
 * expect(outcome.reason).to.equal('cancelled');
 * expect(finished).to.equal(true);
 * @throws TypeError when an option is out of its range, or `target` is not a function.
 */
export function collect<Req, Res>(
  method: Answer<Req, Res> | MountedAnswer<Req, Res>,
  request: Req,
  options: OfKind<'unary'>,
): Promise<Collected<Res>>;
export function collect<Req, Res>(
  method: Answer<Requests<Req>, Res> | MountedAnswer<Requests<Req>, Res>,
  requests: Sent<Req>,
  options: OfKind<'clientStream'>,
): Promise<Collected<Res>>;
export function collect<Req, Res>(
  method: Method<Requests<Req>, Res> | Mounted<Requests<Req>, Res>,
  requests: Sent<Req>,
  options: OfKind<'bidi'>,
): Promise<Collected<Res>>;
export function collect<Req, Res>(
  method: Method<Req, Res> | Mounted<Req, Res>,
  request: Req,
  options?: TestOptions,
): Promise<Collected<Res>>;
export function collect(target: any, request: unknown, options?: TestOptions): Promise<Collected<any>> {
  return open(target, request, options).result;
}

const KINDS: readonly Kind[] = ['unary', 'clientStream', 'serverStream', 'bidi'];

const NAMES = [
  ...(['metadata', 'deadline', 'cancelAfter', 'stallAfter', 'slowByMs', 'middleware'] as const),
  ...(['serialize', 'graceMs', 'path', 'peer', 'kind', 'authContext'] as const),
];

/**
 * `collect()`, for tests that pause, resume or cancel the client at moments of their own.
 *
 * @example
 * const call = open(listNumbers, { max: 1000 });
 * call.pause();
 * // … what the source does now is up to back-pressure
 * call.cancel();
 * const { outcome } = await call.result;
 * @throws TypeError when an option is out of its range, or `target` is not a function.
 */
export function open<Req, Res>(
  method: Answer<Req, Res> | MountedAnswer<Req, Res>,
  request: Req,
  options: OfKind<'unary'>,
): TestCall<Res>;
export function open<Req, Res>(
  method: Answer<Requests<Req>, Res> | MountedAnswer<Requests<Req>, Res>,
  requests: Sent<Req>,
  options: OfKind<'clientStream'>,
): TestCall<Res>;
export function open<Req, Res>(
  method: Method<Requests<Req>, Res> | Mounted<Requests<Req>, Res>,
  requests: Sent<Req>,
  options: OfKind<'bidi'>,
): TestCall<Res>;
export function open<Req, Res>(
  method: Method<Req, Res> | Mounted<Req, Res>,
  request: Req,
  options?: TestOptions,
): TestCall<Res>;
export function open(target: any, request: unknown, options: TestOptions = {}): TestCall<any> {
  checkFunction('target', target);
  checkOptions(options, NAMES);
  const {
    metadata = new Metadata(),
    deadline = Infinity,
    slowByMs = 0,
    middleware = [],
    serialize,
  } = options;
  const { graceMs = 100, path = '/leat.testing/Call', peer = '127.0.0.1:50000' } = options;
  const { kind = 'serverStream', authContext = {} } = options;
  if (!KINDS.includes(kind)) throw expected('kind', `one of ${KINDS.join(', ')}`, kind);
  if (typeof authContext !== 'object' || authContext === null)
    throw expected('authContext', 'an object', authContext);
  const streamed = kind === 'clientStream' || kind === 'bidi';
  if (streamed && !isSent(request)) throw expected('requests', 'an iterable of requests', request);
  checkMetadata('metadata', metadata);
  for (const name of ['cancelAfter', 'stallAfter'] as const)
    if (options[name] !== undefined) checkInteger(name, options[name], 0);
  if (Number.isNaN(Number(deadline))) throw expected('deadline', 'a date or a number', deadline);
  if (serialize !== undefined) checkFunction('serialize', serialize);
  checkDuration('slowByMs', slowByMs);
  checkDuration('graceMs', graceMs);
  if (!Array.isArray(middleware)) throw expected('middleware', 'a list of middleware', middleware);
  checkMiddleware(middleware);

  const took = (count: number) => {
    if (count === options.stallAfter) port.paused = true;
    if (count === options.cancelAfter) stream.cancel();
  };
  const port = new TestPort({ slowByMs, serialize, took });
  // What a client sends is how much time is left, and never less than none.
  const expiresAt = Math.max(Number(deadline), Date.now());
  const origin = { path, peer, deadline: expiresAt, metadata, request, authContext };
  const stream = testStream(port, origin, streamed);
  // The transport has the answer: who is called back is nobody.
  const callback = kind === 'unary' || kind === 'clientStream' ? () => {} : undefined;
  const work = new Work();
  const parts = partsOf(target);
  const ended = new Promise<Outcome>(resolve => {
    const record: Middleware = () => ({ end: resolve });
    const list = [record, ...middleware, ...(parts?.middleware ?? [])];
    const method = parts?.method ?? target;
    const handler = parts?.wrapped
      ? (wrap(work.ofHandler(parts.wrapped) as never, ...list) as AnyHandler)
      : handle(callback ? work.ofAnswer(method) : work.ofSource(method), list);
    if (options.stallAfter === 0) port.paused = true;
    handler(stream, callback);
    if (options.cancelAfter === 0) stream.cancel();
  });

  const result = async (): Promise<Collected<any>> => {
    // Timers of layers do not keep a process alive, and here is no server that does.
    const alive = setInterval(() => {}, MAX_TIMER_MS);
    const outcome = await ended;
    const gone = outcome.reason === 'cancelled' || outcome.reason === 'disconnected';
    const trailer = gone ? new Metadata() : (await port.ended).metadata;
    const finished = await work.finishes(graceMs);
    clearInterval(alive);
    return { messages: port.messages, header: port.headers, trailer, outcome, finished };
  };
  return {
    messages: port.messages,
    pause() {
      port.paused = true;
    },
    resume: () => port.resume(),
    cancel: () => stream.cancel(),
    result: result(),
  };
}

function isSent(requests: unknown): boolean {
  return (
    typeof requests === 'object' &&
    requests !== null &&
    (Symbol.asyncIterator in requests || Symbol.iterator in requests)
  );
}

/** Knows whether what produces the messages has finished. */
class Work {
  private readonly pending = new Set<unknown>();

  ofHandler(handler: AnyHandler): AnyHandler {
    return (stream, callback) => this.watch(handler(stream, callback));
  }

  ofAnswer<Req, Res>(method: Answer<Req, Res>): Answer<Req, Res> {
    return (request, call) => this.watch(method(request, call));
  }

  ofSource<Req, Res>(source: Method<Req, Res>): Method<Req, Res> {
    const through = (stream: Source<Res>): AsyncIterable<Res> => {
      const puller = iterate(stream);
      const iterator = {
        next: () => this.watch(puller.next()) as Promise<IteratorResult<Res>>,
        return: () => this.watch(puller.return?.()) as Promise<IteratorResult<Res>>,
      };
      return { [Symbol.asyncIterator]: () => iterator };
    };
    return (request, call) => {
      const stream = this.watch(source(request, call));
      return isThenable(stream) ? stream.then(through) : through(stream);
    };
  }

  /** Answers what it was given. */
  private watch<T>(work: T): T {
    if (isThenable(work)) {
      const done = () => this.pending.delete(work);
      this.pending.add(work);
      work.then(done, done);
    }
    return work;
  }

  async finishes(graceMs: number): Promise<boolean> {
    await new Promise(resolve => setImmediate(resolve));
    for (const end = Date.now() + graceMs; this.pending.size > 0 && Date.now() < end; )
      await new Promise(resolve => setTimeout(resolve, 1));
    return this.pending.size === 0;
  }
}
