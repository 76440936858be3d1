import { after } from '../timers.ts';
import { checkDuration, checkSignal } from './check.ts';

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
    // A wait without end keeps the process, too.
    const timer = after(Math.min(ms, Number.MAX_SAFE_INTEGER), () => {
      signal?.removeEventListener('abort', abort);
      resolve();
    });
    const abort = () => {
      timer.stop();
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', abort, { once: true });
  });
}
