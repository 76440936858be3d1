import { setImmediate as turn } from 'node:timers/promises';

export { turn };

/** How much is done before everything else gets a turn, where nothing ever has to be waited for. */
export const MAX_AT_ONCE = 1024;

/** For how many milliseconds slow steps may go on; the clock is read once every `LOOK_EVERY` steps. */
const MAX_MS_AT_ONCE = 10;
const LOOK_EVERY = 16;

/**
 * Promises that settle at once keep timers, sockets and other calls waiting for as long as they are awaited one
 * after the other: a loop over them counts its steps here.
 */
export class Turns {
  private steps = 0;
  private since = 0;

  /** Counts a step; a promise says that it is the turn of others, until it settles. */
  step(): Promise<void> | undefined {
    this.steps += 1;
    if (this.steps === 1) this.since = performance.now();
    if (this.steps % LOOK_EVERY !== 0) return undefined;
    if (this.steps < MAX_AT_ONCE && performance.now() - this.since < MAX_MS_AT_ONCE) return undefined;
    this.steps = 0;
    return turn();
  }
}
