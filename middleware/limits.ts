/**
 * What clients may take of a server: how many streams, for how long, how fast.
 * @module
 */
import { Metadata, status } from '@grpc/grpc-js';
import { checkDuration, checkFunction, checkInteger, expected } from '../lib/check.ts';
import type { Call, Layer, Middleware, Outcome, Sink } from '../lib/types.ts';

export interface LimitsOptions {
  /** How many streams may be open at once; the next is refused with `RESOURCE_EXHAUSTED`. Minimum 1. */
  readonly maxStreams?: number;
  /** How many streams of one client may be, likewise. Minimum 1. */
  readonly maxStreamsPerPeer?: number;
  /** How many streams of one method may be, likewise. Minimum 1. */
  readonly maxStreamsPerMethod?: number;
  /**
   * Who counts as one client.
   * @default the address of the connection, without its port
   */
  readonly peerOf?: (call: Call) => string;
  /**
   * How long a stream may be open, in milliseconds. It ends between two messages, also while its source waits, with
   * `UNAVAILABLE` and the hint to come back at once: long streams move on to other servers. Minimum 1.
   */
  readonly maxStreamAgeMs?: number;
  /**
   * The part by which that age is varied up and down, so that streams opened together do not end so. 0 to 1.
   * @default 0.1
   */
  readonly jitter?: number;
  /**
   * How long a source may yield nothing, in milliseconds; then the stream ends with `UNAVAILABLE`. Heartbeats do
   * not count, nor does time in which the client is the slow one. Minimum 1.
   */
  readonly idleTimeoutMs?: number;
  /**
   * How long a client may leave all that HTTP/2 and the window hold where it is, in milliseconds; then the stream
   * ends with `ABORTED`: what it has missed by then is for the client to know. Minimum 1.
   */
  readonly maxStallMs?: number;
  /** How many messages one stream sends in a second; its source waits for that. Minimum 0.001. */
  readonly maxMessagesPerSecond?: number;
  /** How many bytes, likewise; it does not hold where an interceptor of somebody else hides sizes. Minimum 0.001. */
  readonly maxBytesPerSecond?: number;
  /**
   * When clients that were refused, idle or stalled should come back, in milliseconds, sent as
   * `grpc-retry-pushback-ms`. Minimum 0.
   * @default 1000
   */
  readonly retryMs?: number;
}

type Stats = Call['stats'];

/** How much of a second a stream may send at once after it has sent less than it might. */
const BURST_MS = 50;

/**
 * Limits what is given, and nothing else. The streams of all calls that go through the same `limits()` count
 * together. All ends have the reason `limit`, and batches that wait are sent before them.
 *
 * @example
 * limits({ maxStreamsPerPeer: 100, maxStreamAgeMs: 30 * 60_000, maxStallMs: 60_000 });
 * @throws TypeError when an option is out of its range.
 */
export function limits(options: LimitsOptions): Middleware {
  const { maxStreams, maxStreamsPerPeer, maxStreamsPerMethod, peerOf = addressOf } = options;
  const { maxStreamAgeMs: ageMs = Infinity, jitter = 0.1, retryMs = 1000 } = options;
  const { idleTimeoutMs: idleMs = Infinity, maxStallMs: stallMs = Infinity } = options;
  const { maxMessagesPerSecond, maxBytesPerSecond } = options;
  for (const name of ['maxStreams', 'maxStreamsPerPeer', 'maxStreamsPerMethod'] as const)
    if (options[name] !== undefined) checkInteger(name, options[name], 1);
  for (const name of ['maxStreamAgeMs', 'idleTimeoutMs', 'maxStallMs'] as const)
    if (options[name] !== undefined) checkNumber(name, options[name], 1, 0x7fffffff);
  for (const name of ['maxMessagesPerSecond', 'maxBytesPerSecond'] as const)
    if (options[name] !== undefined) checkNumber(name, options[name], 0.001, Number.MAX_SAFE_INTEGER);
  checkFunction('peerOf', peerOf);
  checkNumber('jitter', jitter, 0, 1);
  checkDuration('retryMs', retryMs);

  const slots: Slots[] = [];
  if (maxStreams) slots.push(new Slots('', maxStreams, () => ''));
  if (maxStreamsPerPeer) slots.push(new Slots(' of this client', maxStreamsPerPeer, peerOf));
  if (maxStreamsPerMethod) slots.push(new Slots(' of this method', maxStreamsPerMethod, call => call.path));
  const bounds = { ageMs, jitter, idleMs, stallMs, retryMs };
  const watched = Math.min(ageMs, idleMs, stallMs) < Infinity;
  const paced = maxMessagesPerSecond !== undefined || maxBytesPerSecond !== undefined;

  return function limits(call, next) {
    const wanted = slots.map(slot => ({ slot, key: slot.keyOf(call) }));
    const full = wanted.find(({ slot, key }) => slot.isFull(key))?.slot;
    if (full) return next.end(limited(status.RESOURCE_EXHAUSTED, `too many streams${full.whose}`, retryMs));
    for (const { slot, key } of wanted) slot.take(key);
    const pace = paced ? new Pace(call.stats, maxMessagesPerSecond, maxBytesPerSecond) : undefined;
    const watch = watched ? new Watch(call, next, bounds, pace) : undefined;
    const layer: Layer<unknown> = {};
    if (pace) layer.ready = () => pace.ready();
    if (wanted.length || pace || watch)
      layer.end = () => {
        for (const { slot, key } of wanted) slot.give(key);
        pace?.stop();
        watch?.stop();
      };
    return layer;
  };
}

/** Counts the open streams that have something in common. */
class Slots {
  private readonly open = new Map<string, number>();

  constructor(
    readonly whose: string,
    private readonly max: number,
    readonly keyOf: (call: Call) => string,
  ) {}

  isFull(key: string): boolean {
    return (this.open.get(key) ?? 0) >= this.max;
  }

  take(key: string): void {
    this.open.set(key, (this.open.get(key) ?? 0) + 1);
  }

  give(key: string): void {
    const left = (this.open.get(key) ?? 0) - 1;
    if (left > 0) this.open.set(key, left);
    else this.open.delete(key);
  }
}

interface Bounds {
  readonly ageMs: number;
  readonly jitter: number;
  readonly idleMs: number;
  readonly stallMs: number;
  readonly retryMs: number;
}

/** Ends a stream that is too old, idle or stalled; one timer, set for the first moment at which it may be so. */
class Watch {
  private timer: NodeJS.Timeout | undefined;
  private readonly stats: Stats | undefined;
  private readonly endsAt: number;
  /** It looked too late a moment ago: perhaps only because this process was busy, so it is looked at twice. */
  private late = false;

  constructor(
    call: Call,
    private readonly next: Sink<unknown>,
    private readonly bounds: Bounds,
    private readonly pace: Pace | undefined,
  ) {
    const { ageMs, jitter, idleMs, stallMs } = bounds;
    if (idleMs < Infinity || stallMs < Infinity) this.stats = call.stats;
    this.endsAt = performance.now() + ageMs * (1 + jitter * (2 * Math.random() - 1));
    this.look();
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  private look(): void {
    const { idleMs, stallMs, retryMs } = this.bounds;
    const now = performance.now();
    const age = this.endsAt - now;
    const idle = idleMs - this.waited('source', now);
    const stall = stallMs - this.waited('flow_control', now);
    const { UNAVAILABLE, ABORTED } = status;
    if (age <= 0) return this.next.end(limited(UNAVAILABLE, 'the stream has reached its maximum age', 0));
    const late = Math.min(idle, stall) <= 0;
    if (late && this.late) {
      if (idle <= 0) return this.next.end(limited(UNAVAILABLE, 'the stream was idle for too long', retryMs));
      return this.next.end(limited(ABORTED, 'the client did not read for too long', retryMs));
    }
    this.late = late;
    const soon = late ? 1 : Math.min(age, idle, stall, 0x7fffffff);
    this.timer = setTimeout(() => this.look(), Math.ceil(soon)).unref();
  }

  private waited(reason: Stats['waiting'], now: number): number {
    const { waiting, since } = this.stats ?? {};
    return waiting === reason && since !== undefined && !this.pace?.holding ? now - since : 0;
  }
}

/** Holds the next pull until what was sent before is paid for. */
class Pace {
  holding = false;
  private timer: NodeJS.Timeout | undefined;
  private readonly messages: Budget;
  private readonly bytes: Budget;

  constructor(
    private readonly stats: Stats,
    messagesPerSecond = Infinity,
    bytesPerSecond = Infinity,
  ) {
    this.messages = new Budget(messagesPerSecond);
    this.bytes = new Budget(bytesPerSecond);
  }

  ready(): void | Promise<void> {
    const { messages, bytes } = this.stats;
    const now = performance.now();
    const debtMs = Math.max(this.messages.debt(messages, now), this.bytes.debt(bytes ?? 0, now));
    if (debtMs <= 0) return;
    this.holding = true;
    return new Promise(resolve => {
      const go = () => {
        this.holding = false;
        resolve();
      };
      this.timer = setTimeout(go, Math.min(debtMs, 0x7fffffff)).unref();
    });
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}

class Budget {
  private used = 0;
  private paidAt = -Infinity;

  constructor(private readonly perSecond: number) {}

  /** For how many milliseconds nothing more may be sent, when so much was sent in all. */
  debt(total: number, now: number): number {
    const priceMs = (Math.max(0, total - this.used) / this.perSecond) * 1000;
    this.used = total;
    this.paidAt = Math.max(this.paidAt, now - BURST_MS) + priceMs;
    return this.paidAt - now;
  }
}

function limited(code: status, details: string, retryMs: number): Outcome {
  const metadata = new Metadata();
  metadata.set('grpc-retry-pushback-ms', String(Math.ceil(retryMs)));
  return { code, details, reason: 'limit', metadata };
}

/** The address of a client, of which the port is different for each connection. */
function addressOf({ peer }: Call): string {
  return peer.replace(/:\d+$/, '');
}

function checkNumber(name: string, value: unknown, from: number, to: number): void {
  if (typeof value !== 'number' || !(value >= from && value <= to))
    throw expected(name, `a number from ${from} to ${to}`, value);
}
