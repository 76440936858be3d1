import { type StatusObject, status } from '@grpc/grpc-js';
import { answerOf, isBoolean } from '../hooks.ts';
import type { LiveAttempt } from './attempt.ts';
import type { Limits } from './options.ts';
import { retryHint } from './retry-hint.ts';
import { isListed } from './retry-rule.ts';
import type { GiveUpReason } from './subscribe-error.ts';

/** What follows an attempt: the end, the error, or another attempt in so many milliseconds. */
export type Verdict = 'end' | { readonly reason: GiveUpReason } | { readonly retryMs: number };

/** Waits for what a hook answers, for as long as anybody wants to know. */
export type Settle = <T>(answer: T | PromiseLike<T>) => Promise<T>;

/** Timers and clocks agree to within this: a deadline that passed a little early has passed. */
const SLACK_MS = 25;

/** Decides what follows each attempt, and keeps the counts that it takes to do so. */
export class Judge {
  /** Failures in a row since a stream was last healthy: how long to wait depends on it. */
  retry = 0;
  /** Attempts in a row that were not healthy and brought nothing new. */
  private barren = 0;
  /** Those among them that the server answered. */
  private fruitless = 0;
  /** Since when nothing new came. */
  private since: number | undefined;

  constructor(
    private readonly limits: Limits,
    private readonly settle: Settle,
  ) {}

  /** Something new was delivered. */
  progress(): void {
    this.barren = 0;
    this.fruitless = 0;
    this.since = undefined;
  }

  async judge(attempt: LiveAttempt<unknown, unknown>, ended: StatusObject): Promise<Verdict> {
    const { limits } = this;
    const now = Date.now();
    if (this.wasHealthy(attempt, now)) {
      this.retry = 0;
      this.progress();
    }
    if (ended.code === status.OK) {
      if (limits.onOk === 'end') return 'end';
      if (attempt.fresh) this.retry = 0;
      return this.again(now, undefined);
    }
    if (ended.code === status.DEADLINE_EXCEEDED && now >= limits.deadlineMs - SLACK_MS)
      return { reason: 'deadline' };
    if (ended.code === status.DEADLINE_EXCEEDED && attempt.renewable) return { retryMs: 0 };
    return this.failed(attempt, ended, now);
  }

  private wasHealthy(attempt: LiveAttempt<unknown, unknown>, now: number): boolean {
    const { openedAt, endedAt = now, stalled } = attempt;
    return openedAt !== undefined && !stalled && endedAt - openedAt >= this.limits.healthyMs;
  }

  private async failed(
    attempt: LiveAttempt<unknown, unknown>,
    ended: StatusObject,
    now: number,
  ): Promise<Verdict> {
    const { limits } = this;
    if (!(await this.allows(attempt, ended))) return { reason: 'code' };
    if (limits.firstFailure === 'throw' && attempt.number === 1 && attempt.openedAt === undefined)
      return { reason: 'first-failure' };
    const hint = retryHint(ended.metadata);
    if (hint === Infinity) return { reason: 'refused' };
    this.since ??= attempt.openedAt === undefined ? attempt.startedAt : now;
    if (attempt.fresh) return this.again(now, hint);
    this.barren += 1;
    if (ended.code !== status.UNAVAILABLE) this.fruitless += 1;
    if (this.barren >= limits.maxAttempts) return { reason: 'attempts' };
    if (this.fruitless >= limits.maxFruitless) return { reason: 'no-progress' };
    return this.again(now, hint);
  }

  private again(now: number, hint: number | undefined): Verdict {
    const { limits } = this;
    this.retry += 1;
    const retryMs = limits.wait(this.retry) + (hint === undefined ? 0 : Math.min(hint, limits.maxHintMs));
    if (now + retryMs - (this.since ?? now) > limits.maxElapsedMs) return { reason: 'elapsed' };
    if (now + retryMs >= limits.deadlineMs) return { reason: 'deadline' };
    return { retryMs };
  }

  private async allows(attempt: LiveAttempt<unknown, unknown>, ended: StatusObject): Promise<boolean> {
    const { retry } = this.limits;
    if (typeof retry !== 'function') return isListed(retry, ended);
    const error = attempt.error ?? new Error(ended.details);
    const answer = await this.settle(retry(Object.assign(error, ended), attempt));
    return answerOf('retry', 'a boolean', answer, isBoolean);
  }
}
