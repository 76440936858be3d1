import { status } from '@grpc/grpc-js';
import { StatusError } from '../status/status.ts';
import type { Items } from '../types.ts';
import { Backlog, type BacklogOptions, checkBacklog } from './backlog.ts';
import { checkFunction, checkOptions, checkSignal } from './check.ts';
import { Feed, NONE } from './feed.ts';

/**
 * What `push` does when the channel is full. `wait`: takes the item and answers a promise to wait for.
 * `drop-newest`: lets go of the item. `drop-oldest`: lets go of the one stored longest. `latest`: stores one
 * item, the newest, whatever the capacity. `error`: throws `RESOURCE_EXHAUSTED`.
 *
 * What is in the window of a call, 256 messages or 128 KiB, is older than what is stored here:
 * `configure({ maxUnackedMessages: 1 })` for the freshest.
 */
export type Overflow = 'wait' | 'drop-newest' | 'drop-oldest' | 'latest' | 'error';

/** How much a channel holds, and what it does when that is full. */
export interface ChannelOptions<T> {
  /**
   * How many items are stored for a consumer that is busy. Minimum 1.
   * @default 256
   */
  readonly capacity?: number;
  /**
   * What happens to an item that finds no room.
   * @default 'wait'
   */
  readonly overflow?: Overflow;
  /**
   * Hears of each item that was dropped; what it throws, or rejects with, is ignored. An item that it pushes itself
   * while the channel is full is dropped and counted, and it does not hear of that.
   */
  readonly onDrop?: (item: T) => void;
  /** Ends the channel at once; the consumer gets `signal.reason` thrown. */
  readonly signal?: AbortSignal;
}

/** A bounded queue for one consumer: push in at one end, `for await` at the other. */
export interface Channel<T> extends Items<T> {
  /**
   * Puts an item in: the object itself, so do not change it after that. `true` when the consumer gets it; `false` when
   * it was dropped, or nobody reads any more. With `wait` and no room the answer is a promise that settles when there
   * is room again: one for a whole burst. A producer that does not wait for it goes over the capacity.
   * @throws StatusError RESOURCE_EXHAUSTED when full, with overflow `error`.
   */
  push(item: T): boolean | Promise<boolean>;
  /** Ends the channel after what is stored; everybody who waits is woken. */
  close(): void;
  /** Ends the channel with an error after what is stored; everybody who waits is woken. */
  fail(error: unknown): void;
  /** Items stored. */
  readonly size: number;
  /** Items dropped because the channel was full. */
  readonly dropped: number;
  /** Whether a push still has a chance: not closed, not failed, and the consumer has not left. */
  readonly writable: boolean;
}

/**
 * Makes a bounded queue between callbacks that push and a consumer that iterates.
 *
 * @example
 * const prices = channel<Price>({ capacity: 10, overflow: 'drop-oldest', signal: call.signal });
 * ticker.on('price', price => prices.push(price));
 * return prices;
 * @throws TypeError when an option is out of its range.
 */
export function channel<T>(options: ChannelOptions<T> = {}): Channel<T> {
  checkOptions(options, ['capacity', 'overflow', 'onDrop', 'signal']);
  const { capacity = 256, overflow = 'wait', onDrop, signal } = options;
  checkBacklog(capacity, overflow, ['wait', 'drop-newest', 'drop-oldest', 'latest', 'error']);
  checkFunction('onDrop', onDrop);
  checkSignal(signal);
  return new ChannelFeed<T>({ capacity, overflow, onDrop }, signal);
}

/** A channel's two halves; also what listeners feed. */
export class ChannelFeed<T> extends Feed<T> implements Channel<T> {
  private readonly stored: Backlog<T>;
  private readonly overflow: Overflow;
  /** What producers wait for: settles when everything pushed so far fits. */
  private room: { promise: Promise<boolean>; resolve(taken: boolean): void } | undefined;

  constructor(options: BacklogOptions<T> & { readonly overflow: Overflow }, signal: AbortSignal | undefined) {
    super();
    this.stored = new Backlog(options);
    this.overflow = options.overflow;
    this.follow(signal);
  }

  get size(): number {
    return this.stored.size;
  }

  get dropped(): number {
    return this.stored.dropped;
  }

  get writable(): boolean {
    return this.open;
  }

  push(item: T): boolean | Promise<boolean> {
    if (!this.open) return false;
    if (this.pass(item)) return true;
    const stored = this.stored.add(item);
    if (stored !== undefined) return stored;
    if (this.overflow === 'error')
      throw new StatusError(status.RESOURCE_EXHAUSTED, `the channel is full (${this.size})`);
    this.stored.addAnyway(item);
    return this.waitForRoom();
  }

  close(): void {
    this.finish();
    this.admit(true);
  }

  fail(error: unknown): void {
    this.finish({ error });
    this.admit(true);
  }

  protected override take(): T | typeof NONE {
    if (this.stored.size === 0) return NONE;
    const item = this.stored.shift();
    if (this.stored.size <= this.stored.capacity) this.admit(true);
    return item;
  }

  protected override released(): unknown {
    this.stored.clear();
    this.admit(false);
    return undefined;
  }

  private waitForRoom(): Promise<boolean> {
    if (this.room === undefined) {
      let resolve: (taken: boolean) => void = () => {};
      const promise = new Promise<boolean>(settle => {
        resolve = settle;
      });
      this.room = { promise, resolve };
    }
    return this.room.promise;
  }

  private admit(taken: boolean): void {
    this.room?.resolve(taken);
    this.room = undefined;
  }
}
