import { type Metadata, status } from '@grpc/grpc-js';
import { type Below, lookBelow } from './below.ts';
import { counters } from './counters.ts';
import type { Settings } from './options.ts';
import type { Stats } from './stats.ts';
import { outcomeOf, StatusError } from './status.ts';
import type { Outcome } from './types.ts';

/** What grpc-js is told at the end of a call. */
export interface WireStatus {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

/** Where grpc-js takes what a call sends: its call object, or the next link of a chain of interceptors. */
export interface Port {
  readonly link: unknown;
  header(metadata: Metadata): void;
  message(message: unknown, ack: () => void): void;
  status(status: WireStatus): void;
  /** Whether what is below is a call of this server, where the link does not tell. */
  belongsTo?(server: object): boolean;
}

/** Encodes a message ahead of grpc-js and tells its size in bytes; `direct`: grpc-js is what comes next. */
export type Measure = (message: unknown, direct: boolean) => number;

/** Whoever writes to the wire. */
export interface Writer {
  readonly path: string;
  readonly settings: Settings;
  /** The deadline, in milliseconds since the epoch, or Infinity. */
  readonly expiresAt: number;
  /** Set when somebody wants the call to be counted. */
  readonly counted: Stats | undefined;
  /** There is room again, or everything was taken. */
  woken(): void;
  /** The call can send no more. */
  broken(outcome: Outcome): void;
}

/**
 * Hands messages to grpc-js and keeps a window of them unacknowledged, so that HTTP/2 sends many at once.
 * An acknowledgement comes when HTTP/2 took the bytes: a client that does not read fills the window.
 */
export class Wire {
  /** `mount` knows how. */
  measure: Measure | undefined;
  private unacked = 0;
  private sent = 0;
  /** What layers sent beyond the window: a pull waits for room, a flush does not. */
  private queue: unknown[] = NOTHING;
  private last: WireStatus | undefined;
  private concluded = false;
  private closed = false;
  private timer: NodeJS.Timeout | undefined;
  private readonly below: Below;
  private readonly ack: () => void;

  constructor(
    private readonly port: Port,
    private readonly writer: Writer,
  ) {
    this.below = lookBelow(port.link);
    this.ack = () => this.acknowledged();
  }

  /** Whether one more message may be pulled. */
  get room(): boolean {
    return this.queue.length === 0 && this.fits(1);
  }

  /** Whether there is nobody between a call and grpc-js. */
  get direct(): boolean {
    return this.below.direct;
  }

  /** Whether everything was taken. */
  get idle(): boolean {
    return this.unacked === 0 && this.queue.length === 0;
  }

  message(message: unknown): void {
    if (this.closed || this.last) {
      counters.lateMessages += 1;
      return;
    }
    let bytes: number | undefined;
    try {
      bytes = this.measure?.(message, this.below.direct);
    } catch (error) {
      return this.fail(status.INTERNAL, 'could not be serialised', error);
    }
    if (bytes !== undefined && this.below.maxBytes !== -1 && bytes > this.below.maxBytes)
      return this.fail(
        status.RESOURCE_EXHAUSTED,
        `has ${bytes} bytes, and ${this.below.maxBytes} may be sent`,
      );
    const stats = this.writer.counted;
    if (stats) {
      stats.handed(performance.now());
      if (bytes !== undefined) stats.sized(bytes);
    }
    if (this.queue.length === 0 && this.fits(bytes ?? 1)) return this.send(message, bytes === undefined);
    if (this.queue === NOTHING) this.queue = [];
    this.queue.push(message);
    if (bytes === undefined) stats?.sized(this.below.sizeOf(message));
  }

  header(metadata: Metadata): void {
    if (!this.closed) this.port.header(metadata);
  }

  /** Sends the status after everything before it; `atOnce` when nobody may be there to take that. */
  status(last: WireStatus, atOnce: boolean): void {
    if (this.closed || this.last) return;
    if (atOnce && !this.held()) for (const message of this.queue.splice(0)) this.send(message);
    this.last = last;
    if (this.idle || (atOnce && !this.held())) this.conclude(last);
  }

  /** Gives a client the grace to take what is on its way; one that takes nothing is cut off. */
  expire(code: status): void {
    if (this.closed || this.idle) return;
    const pending = this.below.pendingBytes();
    this.timer = setTimeout(() => {
      if (this.below.pendingBytes() < pending) this.expire(code);
      else if (!this.idle) this.reset(code);
    }, this.writer.settings.cleanupGraceMs);
    this.timer.unref();
  }

  /** Nothing can be sent any more. */
  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.queue = NOTHING;
  }

  /** Whether the connection of this call is one of a server's; taken to be when that cannot be known. */
  belongsTo(server: object): boolean {
    return this.port.belongsTo?.(server) ?? this.below.belongsTo(server);
  }

  /** Tells a client that takes no status how this call ended, and lets go of what it did not take. */
  reset(code: status): void {
    this.below.reset(code);
  }

  /** The deadline as it was meant, as far as that shows: one that a timer cannot hold may arrive as one long past. */
  deadline(expiresAt: number): number {
    if (expiresAt > Date.now() - IMPOSSIBLY_LATE_MS) return expiresAt;
    this.below.disarm();
    return Number.POSITIVE_INFINITY;
  }

  /** How a call ended that was not ended here: by the client, by its connection, or by grpc-js itself. */
  verdict(): Outcome {
    const sent = this.below.sentStatus();
    const late = Date.now() >= this.writer.expiresAt - DEADLINE_SLACK_MS;
    if (sent === status.DEADLINE_EXCEEDED || (sent === undefined && late)) return DEADLINE_EXCEEDED;
    if (sent !== undefined || this.below.endedItself())
      return { code: sent ?? status.INTERNAL, details: 'ended by grpc-js', reason: 'error' };
    if (this.below.disconnected())
      return { code: status.CANCELLED, details: 'connection lost', reason: 'disconnected' };
    return { code: status.CANCELLED, details: 'cancelled by the client', reason: 'cancelled' };
  }

  private conclude(last: WireStatus): void {
    if (this.concluded) return;
    this.concluded = true;
    this.port.status(last);
  }

  private fits(bytes: number): boolean {
    if (this.unacked === 0) return true;
    const { maxUnackedMessages, maxUnackedBytes } = this.writer.settings;
    return (
      this.unacked < maxUnackedMessages &&
      !this.held() &&
      this.below.pendingBytes() + bytes <= maxUnackedBytes
    );
  }

  /** Whether an interceptor still has a message, so that another one could overtake it or push it out. */
  private held(): boolean {
    return this.unacked > 0 && this.below.held();
  }

  private send(message: unknown, unsized = false): void {
    const { below, writer } = this;
    if (below.gaveUp()) return writer.broken(this.verdict());
    const stats = unsized ? writer.counted : undefined;
    const before = stats ? below.pendingBytes() : 0;
    this.unacked += 1;
    try {
      this.port.message(message, this.ack);
    } catch (error) {
      this.unacked -= 1;
      return writer.broken(outcomeOf(error));
    }
    if (below.gaveUp()) {
      const refusal = below.refusal(message);
      const code = below.sentStatus() ?? refusal.code;
      const what = code === status.RESOURCE_EXHAUSTED ? 'is too large' : 'could not be serialised';
      return this.fail(code, what, refusal.cause, this.sent);
    }
    this.sent += 1;
    stats?.sized(below.grown(before));
  }

  private acknowledged(): void {
    this.unacked -= 1;
    if (this.closed) return;
    while (this.queue.length > 0 && this.fits(1)) this.send(this.queue.shift());
    if (!this.idle) {
      // Waiting for half the window lets HTTP/2 send many at once, also when it takes one at a time.
      if (this.unacked <= this.writer.settings.maxUnackedMessages >> 1 && this.room) this.writer.woken();
    } else if (this.last) this.conclude(this.last);
    else this.writer.woken();
  }

  private fail(
    code: status,
    what: string,
    cause?: unknown,
    index: number = this.sent + this.queue.length,
  ): void {
    const error = new StatusError(code, `the message at index ${index} of ${this.writer.path} ${what}`, {
      cause,
    });
    this.writer.broken(outcomeOf(error));
  }
}

export const DEADLINE_EXCEEDED: Outcome = {
  code: status.DEADLINE_EXCEEDED,
  details: 'Deadline exceeded',
  reason: 'deadline',
};

/** Most calls queue nothing: they share this. */
const NOTHING: unknown[] = [];

/** A call whose deadline passed this long ago would not have been started. */
const IMPOSSIBLY_LATE_MS = 60_000;

/** A client's own timer may reset an expired call some milliseconds before its deadline is due here. */
const DEADLINE_SLACK_MS = 25;
