import { counters } from './counters.ts';
import { survive } from './hooks.ts';
import type { Settings } from './options.ts';
import type { Call } from './types.ts';

/** Counts and reports what has not finished in time after its call was over; settles when it has. */
export async function watch(call: Call & { readonly settings: Settings }, work: unknown): Promise<void> {
  const { settings } = call;
  const timer = setTimeout(() => {
    counters.orphans += 1;
    survive(() => settings.onOrphan(call));
  }, settings.cleanupGraceMs);
  timer.unref();
  try {
    await work;
  } catch {
    // Whoever made it hears of that.
  }
  clearTimeout(timer);
}
