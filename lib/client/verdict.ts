import { type StatusObject, status } from '@grpc/grpc-js';
import { answerOf, isBoolean } from '../hooks.ts';
import { type LiveAttempt, SLACK_MS } from './attempt.ts';
import type { Limits } from './options.ts';
import { retryHint } from './retry-hint.ts';
import { isListed, isOwnRefusal } from './retry-rule.ts';
import type { GiveUpReason } from './subscribe-error.ts';

/** What follows an attempt: the end, the error, or another attempt in so many milliseconds. */
export type Verdict = 'end' | { readonly reason: GiveUpReason } | { readonly retryMs: number };

/** Waits for what a hook answers, for as long as anybody wants to know. */
export type Settle = <T>(answer: T | PromiseLike<T>) => Promise<T>;

/** Decides what follows each attempt, and keeps the counts that it takes to do so: nothing else does. */
export class Judge {
  /** Failures in a row since a stream was last healthy: how long to wait depends on it. */
  retry = 0;
  /** Attempts in a row that were not healthy and brought nothing new. */
  private barren = 0;
  /** How many of those attempts the server answered. */
  private fruitless = 0;
  /** Since when nothing new came, by `performance.now()`. */
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

  /** @param wanted whether the user has said already that it goes on after this. */
  async judge(attempt: LiveAttempt<unknown, unknown>, ended: StatusObject, wanted = false): Promise<Verdict> {
    const { limits } = this;
    const healthy = this.wasHealthy(attempt);
    if (healthy) {
      this.retry = 0;
      this.progress();
    }
    if (ended.code === status.OK && limits.onOk === 'end') return 'end';
    if (ended.code === status.DEADLINE_EXCEEDED && performance.now() >= attempt.expires - SLACK_MS)
      return Date.now() >= limits.deadlineMs - SLACK_MS ? { reason: 'deadline' } : { retryMs: 0 };
    if (ended.code !== status.OK && !wanted) {
      if (isOwnRefusal(ended) || !(await this.allows(attempt, ended))) return { reason: 'code' };
      if (limits.firstFailure === 'throw' && attempt.number === 1 && attempt.openedAt === undefined)
        return { reason: 'first-failure' };
    }
    return this.again(attempt, ended, attempt.fresh || healthy);
  }

  /**
   * Counts the attempt, and says when the next one is, or which limit it is at.
   *
   * @param useful whether it brought anything new, or was healthy.
   */
  private again(attempt: LiveAttempt<unknown, unknown>, ended: StatusObject, useful: boolean): Verdict {
    const { limits } = this;
    const now = performance.now();
    const failed = ended.code !== status.OK;
    const hint = failed ? retryHint(ended.metadata) : undefined;
    if (hint === Infinity) return { reason: 'refused' };
    if (attempt.fresh && !failed) this.retry = 0;
    this.since ??= useful ? now : attempt.started;
    if (!useful) {
      this.barren += 1;
      if (ended.code !== status.UNAVAILABLE) this.fruitless += 1;
      if (this.barren >= limits.maxAttempts) return { reason: 'attempts' };
      if (this.fruitless >= limits.maxFruitless) return { reason: 'no-progress' };
    }
    this.retry += 1;
    const retryMs = limits.wait(this.retry) + (hint === undefined ? 0 : Math.min(hint, limits.maxHintMs));
    if (now + retryMs - this.since > limits.maxElapsedMs) return { reason: 'elapsed' };
    if (limits.deadlineMs !== Infinity && Date.now() + retryMs >= limits.deadlineMs)
      return { reason: 'deadline' };
    return { retryMs };
  }

  private wasHealthy({ opened, ended = performance.now(), stalled }: LiveAttempt<unknown, unknown>): boolean {
    return opened !== undefined && !stalled && ended - opened >= this.limits.healthyMs;
  }

  private async allows(attempt: LiveAttempt<unknown, unknown>, ended: StatusObject): Promise<boolean> {
    const { retry } = this.limits;
    if (typeof retry !== 'function') return isListed(retry, ended);
    const error = attempt.error ?? new Error(ended.details);
    const answer = await this.settle(retry(Object.assign(error, ended), attempt));
    return answerOf('retry', 'a boolean', answer, isBoolean);
  }
}
