/**
 * What clients may take of a server: how many streams, for how long, how fast.
 * @module
 */

import { status } from '@grpc/grpc-js';
import { checkDuration, checkFunction, checkInteger, checkOptions, expected } from '../lib/check.ts';
import { answerOf, isString } from '../lib/hooks.ts';
import { once } from '../lib/inside.ts';
import { makes, middleware } from '../lib/made.ts';
import { MAX_TIMER_MS } from '../lib/timers.ts';
import type { Call, Layer, Middleware } from '../lib/types.ts';
import { Pace } from './limits/pace.ts';
import { limited } from './limits/refusal.ts';
import { Slots } from './limits/slots.ts';
import { Watch } from './limits/watch.ts';

/** What is limited; at least one limit is given. */
export interface LimitsOptions {
  /**
   * How many streams may be open at once; the next is refused with `RESOURCE_EXHAUSTED`. Minimum 1.
   * @default no limit
   */
  readonly maxStreams?: number;
  /**
   * How many streams of one client may be, likewise. Minimum 1.
   * @default no limit
   */
  readonly maxStreamsPerPeer?: number;
  /**
   * How many streams of one method may be, likewise. Minimum 1.
   * @default no limit
   */
  readonly maxStreamsPerMethod?: number;
  /**
   * Who counts as one client. What it throws, or a promise, ends the call.
   * @default the address of the connection, without its port; clients without one, as over a Unix socket, cannot be
   * told apart and are not counted
   */
  readonly peerOf?: (call: Call) => string;
  /**
   * How long a stream may be open, in milliseconds. It ends between two messages, also while its source waits, with
   * `UNAVAILABLE` and the hint to come back at once: long streams move on to other servers. Minimum 1.
   * @default no limit
   */
  readonly maxStreamAgeMs?: number;
  /**
   * The part by which that age is varied up and down, so that streams opened together do not end so; from 0 to 1.
   * @default 0.1
   */
  readonly jitter?: number;
  /**
   * How long a source may yield nothing, in milliseconds; then the stream ends with `UNAVAILABLE`. Heartbeats do
   * not count, nor does time in which the client is the slow one or a rate holds the source. What a layer holds
   * back, such as a batch, counts when it is sent: allow for that. Of a method that answers once only the time counts
   * in which it waits for its client to send more; under `interceptor`, or with a `data` listener, all time between two
   * requests until the client has sent all. It has a quarter more, in which a process that was busy hears of what came
   * meanwhile. Minimum 1.
   * @default no limit
   */
  readonly idleTimeoutMs?: number;
  /**
   * How long a client may leave all that HTTP/2 and the window hold where it is, in milliseconds; then the stream
   * ends with `ABORTED`: what it has missed by then is for the client to know. One that takes something is only slow,
   * and large messages are given to HTTP/2 in pieces of 32 KiB to tell; where an interceptor of somebody else stands
   * below, only as they are. One that goes on taking nothing is reset, and reads `UNAVAILABLE`. It has a quarter
   * more, in which a process that was busy hears of what it took meanwhile. Minimum 1.
   * @default no limit
   */
  readonly maxStallMs?: number;
  /**
   * How many messages one stream sends in a second; its source waits for that, and so does its end. Minimum 0.001.
   * @default no limit
   */
  readonly maxMessagesPerSecond?: number;
  /**
   * How many bytes, likewise; it does not hold where an interceptor of somebody else hides sizes. Minimum 0.001.
   * @default no limit
   */
  readonly maxBytesPerSecond?: number;
  /**
   * When clients that were refused, idle or stalled should come back, in milliseconds, sent as
   * `grpc-retry-pushback-ms`. Minimum 0.
   * @default 1000
   */
  readonly retryMs?: number;
}

/** At least one of these is given. */
const LIMITS = [
  ...(['maxStreams', 'maxStreamsPerPeer', 'maxStreamsPerMethod'] as const),
  ...(['maxStreamAgeMs', 'idleTimeoutMs', 'maxStallMs'] as const),
  ...(['maxMessagesPerSecond', 'maxBytesPerSecond'] as const),
];

const NAMES = [...LIMITS, 'peerOf', 'jitter', 'retryMs'] as const;

/**
 * Limits what is given, and nothing else. The streams of all calls that go through the same `limits()` count
 * together; one that stands on several mounts of a call counts that once, two that are not the same both count.
 * All ends have the reason `limit`, and batches that wait are sent before them.
 *
 * A unary call counts as a stream, and is never idle. What a client streams keeps its call from being idle, when it
 * comes and when its method takes it.
 *
 * Limits see streams. A connection that has none, or that died without a word, is for grpc-js to end: make the server
 * with `serverOptions()`.
 *
 * @example
 * limits({ maxStreamsPerPeer: 100, maxStreamAgeMs: 30 * 60_000, maxStallMs: 60_000 });
 * @throws TypeError when an option is out of its range, or none of them limits anything.
 */
export function limits(options: LimitsOptions): Middleware {
  checkOptions(options, NAMES);
  const { maxStreams, maxStreamsPerPeer, maxStreamsPerMethod, peerOf } = options;
  const { maxStreamAgeMs: ageMs = Infinity, jitter = 0.1, retryMs = 1000 } = options;
  const { idleTimeoutMs: idleMs = Infinity, maxStallMs: stallMs = Infinity } = options;
  const { maxMessagesPerSecond, maxBytesPerSecond } = options;
  for (const name of ['maxStreams', 'maxStreamsPerPeer', 'maxStreamsPerMethod'] as const)
    if (options[name] !== undefined) checkInteger(name, options[name], 1);
  for (const name of ['maxStreamAgeMs', 'idleTimeoutMs', 'maxStallMs'] as const)
    if (options[name] !== undefined) checkNumber(name, options[name], 1, MAX_TIMER_MS);
  for (const name of ['maxMessagesPerSecond', 'maxBytesPerSecond'] as const)
    if (options[name] !== undefined) checkNumber(name, options[name], 0.001, Number.MAX_SAFE_INTEGER);
  if (peerOf !== undefined) checkFunction('peerOf', peerOf);
  checkNumber('jitter', jitter, 0, 1);
  checkDuration('retryMs', retryMs);
  if (LIMITS.every(name => options[name] === undefined))
    throw new TypeError(`Expected \`options\` to have at least one limit of ${LIMITS.join(', ')}`);

  const slots: Slots[] = [];
  if (maxStreams) slots.push(new Slots('', maxStreams, () => ''));
  if (maxStreamsPerPeer) slots.push(new Slots(' of this client', maxStreamsPerPeer, keyOfPeer(peerOf)));
  if (maxStreamsPerMethod) slots.push(new Slots(' of this method', maxStreamsPerMethod, call => call.path));
  const bounds = { ageMs, jitter, idleMs, stallMs, retryMs };
  const watched = Math.min(ageMs, idleMs, stallMs) < Infinity;
  const paced = maxMessagesPerSecond !== undefined || maxBytesPerSecond !== undefined;

  return middleware(function limits(call) {
    if (!once(call, limits)) return;
    const wanted: { slot: Slots; key: string }[] = [];
    for (const slot of slots) {
      const key = slot.keyOf(call);
      if (key !== undefined) wanted.push({ slot, key });
    }
    const full = wanted.find(({ slot, key }) => slot.isFull(key))?.slot;
    if (full) return call.end(limited(status.RESOURCE_EXHAUSTED, `too many streams${full.whose}`, retryMs));
    for (const { slot, key } of wanted) slot.take(key);
    const pace = paced ? new Pace(call.stats, maxMessagesPerSecond, maxBytesPerSecond) : undefined;
    const watch = watched ? new Watch(call, bounds) : undefined;
    const layer: Layer<unknown> = {};
    if (pace) layer.ready = () => pace.ready();
    if (wanted.length || pace || watch)
      layer.end = () => {
        for (const { slot, key } of wanted) slot.give(key);
        pace?.stop();
        watch?.stop();
      };
    return layer;
  });
}

makes(limits);

function keyOfPeer(peerOf: LimitsOptions['peerOf']): (call: Call) => string | undefined {
  return peerOf ? call => answerOf('peerOf', 'a string', peerOf(call), isString) : addressOf;
}

/** The address of a client, of which the port is different for each connection; nothing where there is none. */
function addressOf({ peer }: Call): string | undefined {
  return peer === 'unknown' ? undefined : peer.replace(/:\d+$/, '');
}

function checkNumber(name: string, value: unknown, from: number, to: number): void {
  if (typeof value !== 'number' || !(value >= from && value <= to))
    throw expected(name, `a number from ${from} to ${to}`, value);
}
