/** The longest time a timer of Node's holds, in milliseconds: a longer one fires at once. */
export const MAX_TIMER_MS = 0x7fffffff;

/** A timer that can be stopped. */
export interface Timer {
  stop(): void;
  /** Lets the process end while this waits. */
  unref(): this;
  /** Begins anew, whether it has run or not. */
  again(): void;
}

/** Runs `run` once, after any number of milliseconds, also more than one timer can hold; `Infinity` is never. */
export function after(ms: number, run: () => void): Timer {
  return new LongTimer(ms, run);
}

/** Resolves after so many milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise(resolve => void after(ms, resolve));
}

class LongTimer implements Timer {
  private timer: NodeJS.Timeout | undefined;
  private held = true;
  private left: number;

  constructor(
    private readonly ms: number,
    private readonly run: () => void,
  ) {
    this.left = ms;
    if (ms !== Infinity) this.arm();
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  unref(): this {
    this.held = false;
    this.timer?.unref();
    return this;
  }

  again(): void {
    if (this.ms <= MAX_TIMER_MS) return void this.timer?.refresh();
    this.stop();
    this.left = this.ms;
    if (this.ms !== Infinity) this.arm();
  }

  private arm(): void {
    const ms = Math.min(this.left, MAX_TIMER_MS);
    this.left -= ms;
    this.timer = setTimeout(() => (this.left > 0 ? this.arm() : this.run()), ms);
    if (!this.held) this.timer.unref();
  }
}
