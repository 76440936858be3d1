import { checkDuration, checkSignal } from './check.ts';

/** The longest time one timer can hold; Node fires a longer one at once. */
const MAX_TIMER_MS = 0x7fffffff;

/**
 * Waits. Unlike `node:timers/promises` it throws the signal's own reason, and waits for longer than 24 days.
 *
 * @param ms milliseconds, minimum 0; `Infinity` waits for the signal.
 * @throws `signal.reason`, at once when the signal aborts.
 */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  checkDuration('ms', ms);
  checkSignal(signal);
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const until = performance.now() + ms;
    let timer: NodeJS.Timeout;
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const wait = (remaining: number) => {
      timer = setTimeout(
        () => {
          if (remaining > MAX_TIMER_MS) return wait(until - performance.now());
          signal?.removeEventListener('abort', abort);
          resolve();
        },
        Math.min(remaining, MAX_TIMER_MS),
      );
    };
    wait(ms);
    signal?.addEventListener('abort', abort, { once: true });
  });
}
