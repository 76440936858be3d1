import { answerOf, isBoolean } from '../hooks.ts';
import type { Items } from '../types.ts';
import { checkDuration, checkFunction, checkOptions, checkSignal, expected } from './check.ts';
import { PullFeed } from './pull.ts';
import { sleep } from './sleep.ts';

/** How often to ask, and until when. */
export interface PollOptions<T> {
  /** How long it is from the start of one call to the start of the next, in milliseconds. Minimum 0. */
  readonly everyMs: number;
  /** Whether a value is the last one. It is yielded too, once a promise of the answer is fulfilled. */
  readonly until?: (value: T) => boolean | Promise<boolean>;
  /** Ends the polling at once; the consumer gets `signal.reason` thrown. */
  readonly signal?: AbortSignal;
}

/**
 * Calls a function again and again, and yields what it answers. The first call is made at once; one call is
 * over before the next begins, and none is made that nobody waits for. What the function throws ends it, and so
 * does an `until` that throws, or answers anything but a boolean.
 *
 * @param fn gets a signal that aborts when nobody waits for its answer any more.
 * @example
 * return poll(() => jobs.progress(id), { everyMs: 500, until: job => job.done, signal: call.signal });
 * @throws TypeError when an option is out of its range.
 */
export function poll<T>(fn: (signal: AbortSignal) => T | Promise<T>, options: PollOptions<T>): Items<T> {
  if (typeof fn !== 'function') throw expected('fn', 'a function', fn);
  checkOptions(options, ['everyMs', 'until', 'signal']);
  const { everyMs, until, signal } = options;
  checkDuration('everyMs', everyMs);
  checkFunction('until', until);
  checkSignal(signal);
  const stopped = new AbortController();

  async function* poll(): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const due = performance.now() + everyMs;
      const value = await fn(stopped.signal);
      const last = until !== undefined && (await isLast(until(value)));
      yield value;
      if (last) return;
      await sleep(Math.max(0, due - performance.now()), stopped.signal);
    }
  }

  return new PullFeed(poll(), { signal, stop: () => stopped.abort() });
}

async function isLast(answer: boolean | Promise<boolean>): Promise<boolean> {
  return answerOf('until', 'a boolean', await answer, isBoolean);
}
