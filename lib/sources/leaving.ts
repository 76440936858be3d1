import { isThenable } from '../check.ts';
import { watch } from '../orphan.ts';
import { after } from '../timers.ts';

/** How long what was left may take to finish before it counts as an orphan, as with `cleanupGraceMs`. */
const GRACE_MS = 1000;

/** How long one who leaves waits for what cannot be woken. */
const PATIENCE_MS = 100;

/** Waits for what was left to finish, but not for what might never finish. */
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
