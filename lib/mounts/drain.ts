import { constants } from 'node:os';
import { Metadata, type Server, status } from '@grpc/grpc-js';
import { type Live, live, refusals } from '../call/live.ts';
import { checkDuration, checkFunction, checkOptions, checkString, expected } from '../check.ts';
import { connectionsOf } from '../grpc-js/sockets.ts';
import { after } from '../timers.ts';
import type { Outcome } from '../types.ts';
import { onSignals } from './signals.ts';

/** How a server is drained. */
export interface DrainOptions {
  /**
   * How long streams, and calls of other kinds, may take to finish by themselves, in milliseconds. Minimum 0.
   * @default 10000
   */
  readonly graceMs?: number;
  /**
   * When clients may come back, in milliseconds; sent as `grpc-retry-pushback-ms`. Minimum 0.
   * @default 0
   */
  readonly retryMs?: number;
  /**
   * What clients read.
   * @default 'the server is shutting down'
   */
  readonly details?: string;
}

/** How a server is drained, and on which signals. */
export interface DrainOnOptions extends DrainOptions {
  /**
   * The signals to drain on.
   * @default ['SIGTERM', 'SIGINT']
   */
  readonly signals?: readonly NodeJS.Signals[];
  /** What to shut down once all streams ended, such as `() => sdk.shutdown()`; called once. */
  readonly after?: () => unknown;
}

/** How long a client that was told to leave may take for that once the grace is over. */
const CLOSING_MS = 100;

/** How long a client may take to close a connection that has ended, before it is taken to be gone. */
const GONE_MS = 1000;

/** What is shut down: a `Server` of grpc-js, or what `web` of `leat/web` makes. */
export type Drainable = Pick<Server, 'tryShutdown' | 'forceShutdown'>;

const drains = new WeakMap<Drainable, Promise<void>>();

/** Who wants to hear that a server was drained, once that has begun. */
const waiting = new WeakMap<Drainable, (() => void)[]>();

/**
 * Shuts a server down that has endless streams. New streams are refused with `UNAVAILABLE`, sources are told by
 * `call.signal`, may finish within the grace, and are ended with `UNAVAILABLE` and a retry hint when they did
 * not. Always resolves; called again it returns the same promise.
 *
 * A source that finished without ever having looked at its signal has said all it had to say, and ends `OK`; so has a
 * method that gave its one answer, whether it looked or not. A stream of `leat/sources` that a source returned hears of
 * it as its signal would.
 *
 * Several servers are drained at the same time. The HTTP server of a `web` is closed by whoever opened it.
 *
 * @throws TypeError when an option is out of its range.
 */
export function drain(server: Drainable | readonly Drainable[], options: DrainOptions = {}): Promise<void> {
  const settings = checked(server, options);
  if (!isList(server)) return drainOne(server, settings);
  return Promise.all(server.map(one => drainOne(one, settings))).then(() => {});
}

function isList(server: Drainable | readonly Drainable[]): server is readonly Drainable[] {
  return Array.isArray(server);
}

function drainOne(server: Drainable, { graceMs, retryMs, details }: Required<DrainOptions>): Promise<void> {
  const known = drains.get(server);
  if (known) return known;
  const metadata = new Metadata();
  metadata.set('grpc-retry-pushback-ms', String(Math.ceil(retryMs)));
  const drained = run(server, graceMs, { code: status.UNAVAILABLE, details, reason: 'drain', metadata });
  drains.set(server, drained);
  for (const told of waiting.get(server) ?? []) void drained.then(told);
  return drained;
}

/**
 * Drains a server when the process is told to stop; returns how to take that back. A second `SIGINT`, as by pressing
 * Ctrl-C again, ends the process at once.
 *
 * @example
 * drainOn(server, { graceMs: 5000, after: () => sdk.shutdown() });
 * @throws TypeError when an option is out of its range, or a signal is none that this system lets a process hear.
 */
export function drainOn(server: Drainable | readonly Drainable[], options: DrainOnOptions = {}): () => void {
  checkOptions(options, ['graceMs', 'retryMs', 'details', 'signals', 'after']);
  const { signals = ['SIGTERM', 'SIGINT'], after, ...rest } = options;
  checkSignals(signals);
  if (after !== undefined) checkFunction('after', after);
  checked(server, rest);
  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    void drain(server, rest)
      .then(after)
      .catch(error => console.error('leat: after the drain:', error))
      .finally(undo);
  };
  const undo = onSignals(signals, stop);
  const servers = isList(server) ? server : [server];
  let left = servers.length;
  const drainedByHand = () => {
    left -= 1;
    if (left === 0 && !stopping) undo();
  };
  for (const one of servers) {
    const known = drains.get(one);
    if (known) void known.then(drainedByHand);
    else waiting.set(one, [...(waiting.get(one) ?? []), drainedByHand]);
  }
  return undo;
}

function checked(server: Drainable | readonly Drainable[], options: DrainOptions): Required<DrainOptions> {
  for (const one of isList(server) ? server : [server])
    if (typeof one?.tryShutdown !== 'function') throw expected('server', 'a grpc.Server', one);
  checkOptions(options, ['graceMs', 'retryMs', 'details']);
  const { graceMs = 10_000, retryMs = 0, details = 'the server is shutting down' } = options;
  checkDuration('graceMs', graceMs);
  checkDuration('retryMs', retryMs);
  checkString('details', details);
  return { graceMs, retryMs, details };
}

/** Nobody hears a signal that is misspelt, or that ends a process unheard. */
function checkSignals(signals: readonly unknown[]): void {
  if (!Array.isArray(signals)) throw expected('signals', 'a list of signals', signals);
  signals.forEach((signal, index) => {
    if (!Object.hasOwn(constants.signals, signal) || signal === 'SIGKILL' || signal === 'SIGSTOP')
      throw expected(`signals[${index}]`, 'a signal that can be heard', signal);
  });
}

async function run(server: Drainable, graceMs: number, outcome: Outcome): Promise<void> {
  const ours = (call: Live) => call.wire.belongsTo(server);
  // A unary call is soon over, and is answered meanwhile.
  const streams = (call: Live) => call.kind !== 'unary';
  const refuse = (call: Live) => (streams(call) && ours(call) ? outcome : undefined);
  refusals.add(refuse);
  const until = performance.now() + graceMs;
  const calls = [...live].filter(ours);
  const ended = Promise.all(calls.map(call => new Promise<void>(resolve => (call.onEnded = resolve))));
  for (const call of calls) if (streams(call)) call.announce(outcome);
  await within(graceMs, ended);
  for (const call of calls) if (call.listed) call.end(outcome);
  // Unary calls that came meanwhile, and those that are not ours, have what is left of the grace.
  const left = Math.max(CLOSING_MS, until - performance.now());
  const connections = connectionsOf(server);
  await within(left, new Promise(resolve => server.tryShutdown(resolve)));
  for (const call of live) if (ours(call)) call.end(outcome);
  // A client that does not read cannot be told in words.
  for (const call of calls) call.wire.reset(outcome.code);
  await new Promise(resolve => setImmediate(resolve));
  server.forceShutdown();
  // Clients that are there close by themselves, and read what they were sent before that.
  after(GONE_MS, () => connections.end()).unref();
  after(2 * GONE_MS, () => connections.cut()).unref();
  refusals.delete(refuse);
}

function within(ms: number, work: Promise<unknown>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = after(ms, resolve);
    work.then(() => resolve(), reject).finally(() => timer.stop());
  });
}
