import { counts } from './counters.ts';
import { forget, survive } from './hooks.ts';
import { after } from './timers.ts';

/** Counts work that has not settled within the grace as an orphan, and calls `tell`. */
export function watch(work: PromiseLike<unknown>, graceMs: number, tell: () => unknown): void {
  const timer = after(graceMs, () => {
    counts.orphans += 1;
    survive(tell);
  }).unref();
  const stop = () => timer.stop();
  forget(work.then(stop, stop));
}
