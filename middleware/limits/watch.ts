import { status } from '@grpc/grpc-js';
import { type Inside, insideOf } from '../../lib/inside.ts';
import { after, type Timer } from '../../lib/timers.ts';
import type { Call } from '../../lib/types.ts';
import { limited } from './refusal.ts';

interface Bounds {
  readonly ageMs: number;
  readonly jitter: number;
  readonly idleMs: number;
  readonly stallMs: number;
  readonly retryMs: number;
}

/** Ends a stream that is too old, idle or stalled; one timer, set for the first moment at which it can be that. */
export class Watch {
  private timer: Timer | undefined;
  private readonly stats: Call['stats'] | undefined;
  private readonly behind: Inside | undefined;
  private readonly idleMs: number;
  private readonly endsAt: number;
  /** How much longer it was given when the last look found a bound passed, in ms: this process may have been busy. */
  private grace = 0;
  private dueAt = Number.POSITIVE_INFINITY;

  constructor(
    private readonly call: Call,
    private readonly bounds: Bounds,
  ) {
    const { ageMs, jitter, idleMs, stallMs } = bounds;
    this.behind = insideOf(call);
    this.idleMs = call.kind === 'unary' ? Infinity : idleMs;
    if (this.idleMs < Infinity || stallMs < Infinity) this.stats = call.stats;
    this.endsAt = performance.now() + ageMs * (1 + jitter * (2 * Math.random() - 1));
    this.look();
  }

  stop(): void {
    this.timer?.stop();
  }

  private look(): void {
    const { stallMs, retryMs } = this.bounds;
    const { behind, idleMs } = this;
    const now = performance.now();
    const age = this.endsAt - now;
    const idle = behind?.mayIdle === false ? idleMs : idleMs - this.waited('source', now);
    const stall = stallMs - Math.min(this.waited('flow_control', now), now - (this.stats?.takenAt ?? 0));
    const { UNAVAILABLE, ABORTED } = status;
    if (age <= 0) return this.call.end(limited(UNAVAILABLE, 'the stream has reached its maximum age', 0));
    const late = Math.min(idle, stall) <= 0;
    const missed = now - this.dueAt;
    if (late && missed < this.grace) {
      if (idle <= 0) return this.call.end(limited(UNAVAILABLE, 'the stream was idle for too long', retryMs));
      return this.call.end(limited(ABORTED, 'the client did not read for too long', retryMs));
    }
    this.grace = late ? graceOf(missed, Math.min(idleMs, stallMs)) : 0;
    const soon = late ? this.grace : Math.min(age, idle, stall);
    this.dueAt = now + soon;
    this.timer = after(Math.ceil(soon), () => this.look()).unref();
  }

  private waited(reason: Call['stats']['waiting'], now: number): number {
    const { waiting, since } = this.stats ?? {};
    return waiting === reason && since !== undefined ? now - since : 0;
  }
}

/**
 * While this process was busy nobody could be heard. How long it was shows in a look that comes late only as far as
 * it was busy when that was due; so it is a quarter of the bound at least.
 */
function graceOf(missed: number, bound: number): number {
  return Math.max(1, Math.min(bound, Math.max(missed, bound / 4)));
}
