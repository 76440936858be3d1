import { survive } from '../hooks.ts';
import { Fifo } from '../streams/fifo.ts';
import type { Lead } from '../streams/lead.ts';
import { checkInteger, checkOneOf } from './check.ts';
import { Latest } from './latest.ts';

/** What becomes of an item that comes when so many wait already. `wait` and `error` are up to who adds it. */
export type Policy = 'wait' | 'drop-newest' | 'drop-oldest' | 'latest' | 'conflate' | 'error';

const DROPS: readonly Policy[] = ['drop-newest', 'drop-oldest', 'latest'];

export interface BacklogOptions<T> {
  readonly capacity: number;
  readonly overflow: Policy;
  /** Hears of each item that was dropped, but not of those that it adds itself while it hears of one. */
  readonly onDrop?: ((item: T) => void) | undefined;
  /** Says in place of the capacity whether one more fits. */
  readonly lead?: Lead | undefined;
}

/** @throws TypeError when nothing can wait so. */
export function checkBacklog(capacity: unknown, overflow: unknown, policies: readonly Policy[]): void {
  checkInteger('capacity', capacity, 1);
  checkOneOf('overflow', overflow, policies);
}

/** What waits for a consumer that is busy. */
export class Backlog<T> {
  /** Items that were dropped, or replaced by a newer one of their key. */
  dropped = 0;
  readonly capacity: number;
  private readonly overflow: Policy;
  private readonly onDrop: ((item: T) => void) | undefined;
  private readonly lead: Lead | undefined;
  private readonly items: Fifo<T> | Latest<T>;
  /** Set while `onDrop` runs. */
  private telling = false;

  constructor({ capacity, overflow, onDrop, lead }: BacklogOptions<T>) {
    this.capacity = overflow === 'latest' ? 1 : capacity;
    this.overflow = overflow;
    this.onDrop = onDrop;
    this.lead = lead;
    this.items = overflow === 'conflate' ? new Latest<T>() : new Fifo<T>();
  }

  get size(): number {
    return this.items.size;
  }

  /** Whether the item waits now; `undefined` when it does not fit and nothing may be dropped for it. */
  add(item: T, key?: unknown): boolean | undefined {
    const { items } = this;
    if (items instanceof Latest && items.replace(key, item)) this.dropped += 1;
    else if (this.lead?.admits(items.size) ?? items.size < this.capacity) items.push(item, key);
    else return this.overflown(item);
    return true;
  }

  /** Has an item wait beyond the capacity. */
  addAnyway(item: T): void {
    this.items.push(item, undefined);
  }

  /** The oldest item; only asked when there is one. */
  shift(): T {
    return this.items.shift();
  }

  clear(): void {
    this.items.clear();
  }

  private overflown(item: T): boolean | undefined {
    if (!DROPS.includes(this.overflow)) return undefined;
    const isLost = this.overflow === 'drop-newest' || this.telling;
    if (!isLost) this.addAnyway(item);
    this.drop(isLost ? item : this.shift());
    return !isLost;
  }

  private drop(item: T): void {
    this.dropped += 1;
    if (this.telling || !this.onDrop) return;
    this.telling = true;
    survive(() => this.onDrop?.(item));
    this.telling = false;
  }
}
