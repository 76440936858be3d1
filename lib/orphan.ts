import { counts } from './counters.ts';
import { forget, survive } from './hooks.ts';

/** Counts work that has not settled within the grace as an orphan, and calls `tell`. */
export function watch(work: PromiseLike<unknown>, graceMs: number, tell: () => unknown): void {
  const timer = setTimeout(() => {
    counts.orphans += 1;
    survive(tell);
  }, graceMs);
  timer.unref();
  const stop = () => clearTimeout(timer);
  forget(work.then(stop, stop));
}
