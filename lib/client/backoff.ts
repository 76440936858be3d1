import { answerOf } from '../hooks.ts';
import { checkDuration, checkFunction, checkOptions, expected } from '../sources/check.ts';

/** How long to wait before the next attempt, when the server says nothing of that. */
export interface BackoffOptions {
  /**
   * What the wait grows from, in milliseconds: before the first retry it is at most `baseMs * factor`. Minimum 0.
   * @default 1000
   */
  readonly baseMs?: number;
  /**
   * The longest wait in milliseconds. Minimum 0.
   * @default 30000
   */
  readonly maxMs?: number;
  /**
   * How many times longer each wait may be than the one before. Minimum 1.
   * @default 2
   */
  readonly factor?: number;
  /**
   * Where chance comes from: a number from 0 up to 1.
   * @default Math.random
   */
  readonly random?: () => number;
}

/** How many milliseconds to wait before a retry, the first of which is number 1. */
export type Backoff = (retry: number) => number;

/**
 * Exponential backoff with full jitter: a wait drawn evenly from 0 to the longest one of that retry, so that
 * clients that were cut off together do not come back together.
 *
 * @throws TypeError when an option is out of its range.
 */
export function backoff(options: BackoffOptions = {}): Backoff {
  checkBackoff('options', options);
  const { baseMs = 1000, maxMs = 30_000, factor = 2, random = Math.random } = options;
  checkDuration('baseMs', baseMs);
  checkDuration('maxMs', maxMs);
  if (typeof factor !== 'number' || !(factor >= 1))
    throw expected('factor', 'a number from 1 and up', factor);
  checkFunction('random', random);
  return retry => {
    // Neither factor is infinite: the other might be 0.
    const longestMs = Math.min(maxMs, baseMs * Math.min(factor ** retry, Number.MAX_VALUE), Number.MAX_VALUE);
    return numberOf('random', random()) * longestMs;
  };
}

export function checkBackoff(name: string, options: BackoffOptions): void {
  checkOptions(options, ['baseMs', 'maxMs', 'factor', 'random'], name);
}

/** @throws TypeError that names the hook, when what it answers is no number. */
export function numberOf(hook: string, answer: unknown): number {
  return answerOf(hook, 'a number', answer, value => typeof value === 'number');
}
