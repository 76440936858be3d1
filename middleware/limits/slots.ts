import type { Call } from '../../lib/types.ts';

/** Counts the open streams that have something in common. */
export class Slots {
  private readonly open = new Map<string, number>();

  constructor(
    readonly whose: string,
    private readonly max: number,
    /** What they have in common; a stream that has nothing is not counted. */
    readonly keyOf: (call: Call) => string | undefined,
  ) {}

  isFull(key: string): boolean {
    return (this.open.get(key) ?? 0) >= this.max;
  }

  take(key: string): void {
    this.open.set(key, (this.open.get(key) ?? 0) + 1);
  }

  give(key: string): void {
    const left = (this.open.get(key) ?? 0) - 1;
    if (left > 0) this.open.set(key, left);
    else this.open.delete(key);
  }
}
