/**
 * Runs a source or a handler without a network, for unit tests of what you produce.
 * @module
 */
import { Metadata } from '@grpc/grpc-js';
import {
  checkDeadline,
  checkDuration,
  checkFunction,
  checkInteger,
  checkMetadata,
  checkMiddleware,
  checkOptions,
  checkString,
  expected,
} from '../check.ts';
import { forget } from '../hooks.ts';
import { answersOnce } from '../kinds.ts';
import { checkCallable } from '../mounts/hand-written.ts';
import { type AnyHandler, type Mounted, type MountedAnswer, partsOf } from '../mounts/handler.ts';
import { handle } from '../mounts/produce.ts';
import { wrap } from '../mounts/wrap.ts';
import { after } from '../timers.ts';
import type { Answer, Kind, Method, Middleware, Outcome, Requests } from '../types.ts';
import { TestPort } from './test-port.ts';
import { testStream } from './test-stream.ts';
import type { Collected, OfKind, Sent, TestCall, TestOptions } from './types.ts';
import { Work } from './work.ts';

export type { Collected, OfKind, Sent, TestCall, TestOptions } from './types.ts';

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
  checkCallable('target', 'a method or a handler', 'wrap(handler', target);
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
  if (typeof authContext !== 'object' || authContext === null || Array.isArray(authContext))
    throw expected('authContext', 'an object', authContext);
  const streamed = kind === 'clientStream' || kind === 'bidi';
  if (streamed && !isSent(request)) throw expected('requests', 'an iterable of requests', request);
  checkMetadata('metadata', metadata);
  for (const name of ['cancelAfter', 'stallAfter'] as const)
    if (options[name] !== undefined) checkInteger(name, options[name], 0);
  const deadlineMs = checkDeadline(deadline);
  checkString('path', path);
  checkString('peer', peer);
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
  const expiresAt = Math.max(deadlineMs, Date.now());
  const origin = { path, peer, deadline: expiresAt, metadata, request, authContext };
  const stream = testStream(port, origin, streamed);
  // The transport has the answer: who is called back is nobody.
  const callback = answersOnce({ kind }) ? () => {} : undefined;
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

  const collected = async (): Promise<Collected<any>> => {
    // Timers of layers do not keep a process alive, and here is no server that does.
    const alive = after(Number.MAX_SAFE_INTEGER, () => {});
    const outcome = await ended;
    if (stream.mistake) {
      alive.stop();
      throw stream.mistake;
    }
    const gone = outcome.reason === 'cancelled' || outcome.reason === 'disconnected';
    const trailer = (gone ? undefined : (await port.ended).metadata) ?? new Metadata();
    const finished = await work.finishes(graceMs);
    alive.stop();
    return { messages: port.messages, header: port.headers, trailer, outcome, finished };
  };
  const result = collected();
  // Who only cancels might not ask for it.
  forget(result);
  return {
    messages: port.messages,
    pause() {
      port.paused = true;
    },
    resume: () => port.resume(),
    cancel: () => stream.cancel(),
    result,
  };
}

function isSent(requests: unknown): boolean {
  return (
    typeof requests === 'object' &&
    requests !== null &&
    (Symbol.asyncIterator in requests || Symbol.iterator in requests)
  );
}
