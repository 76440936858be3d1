import { isThenable } from '../check.ts';
import { watch } from '../orphan.ts';
import { after } from '../timers.ts';

/** How long an iterator that was left may take to finish before it counts as an orphan, as with `cleanupGraceMs`. */
const GRACE_MS = 1000;

/** How long `return()` waits for an iterator that cannot be woken. */
const PATIENCE_MS = 100;

/** Waits for an iterator that was left to finish; no longer than a moment when it is stuck, as it might never finish. */
export function patiently(left: PromiseLike<unknown>, isStuck: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const later = () => {
      if (isStuck()) resolve();
      else timer = after(GRACE_MS - PATIENCE_MS, resolve);
    };
    let timer = after(PATIENCE_MS, later);
    const done = () => {
      timer.stop();
      resolve();
    };
    left.then(done, error => {
      timer.stop();
      reject(error);
    });
  });
}

/** For what belongs to no call: its call watches the rest. */
export function watchLeft(left: unknown): void {
  if (isThenable(left)) watch(left, GRACE_MS, print);
}

let printed = false;

function print(): void {
  if (printed) return;
  printed = true;
  console.error(
    'leat: what a source read from has not finished since it was left, and may hold what it holds for ever;',
    'more are only counted',
  );
}

/** Settles when all have finished; the first failure counts. */
export async function finished(work: readonly unknown[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason;
}
