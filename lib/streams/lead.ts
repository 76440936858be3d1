/** How much of one burst is stored: one that never stops must not take all the memory there is. */
export const MAX_BURST = 131_072;

/**
 * How far something that cannot be slowed down may run ahead of who reads it. What comes beyond that within one
 * turn of the event loop, when nobody could be served, does not count.
 */
export class Lead {
  /** How many of the stored items do not count. */
  private burst = 0;
  private bursting = false;

  constructor(private readonly limit: number) {}

  /** Whether one more may be stored beside so many. */
  admits(stored: number): boolean {
    if (stored < this.limit) {
      if (stored === 0) this.begin();
      this.burst = 0;
      return true;
    }
    this.burst = Math.min(this.burst, stored);
    if (this.burst === 0) {
      // In a burst, all that is stored came in this turn; otherwise a burst begins with what comes now.
      if (this.bursting) this.burst = stored;
      else this.begin();
    }
    if (!this.bursting) return stored - this.burst < this.limit;
    this.burst += 1;
    return stored < MAX_BURST;
  }

  private begin(): void {
    if (this.bursting) return;
    this.bursting = true;
    setImmediate(() => {
      this.bursting = false;
    });
  }
}
