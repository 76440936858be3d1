import { status } from '@grpc/grpc-js';
import { StatusError } from '../status/status.ts';

/** A sequence number, as a client might send it. */
export type After = number | bigint | string | null | undefined;

/** The last items published, by sequence number, in a ring. */
export class History<T> {
  /** Sequence number of the last item. */
  last: number;
  /** The item that made room for the last one. */
  evicted: T | undefined;
  /** The key of that item. */
  evictedKey: unknown;
  private readonly ring: T[] = [];
  private readonly keys: unknown[] = [];

  constructor(
    private readonly capacity: number,
    private readonly startAfter: number,
  ) {
    this.last = startAfter;
  }

  /** Sequence number of the oldest item kept. */
  get first(): number {
    return this.last - this.ring.length + 1;
  }

  add(item: T, key: unknown): number {
    this.last += 1;
    if (this.capacity === 0) return this.last;
    const slot = this.slot(this.last);
    this.evicted = this.ring[slot];
    this.evictedKey = this.keys[slot];
    this.ring[slot] = item;
    this.keys[slot] = key;
    return this.last;
  }

  /** The item of a sequence number from `first` to `last`. */
  get(sequence: number): T {
    return this.ring[this.slot(sequence)] as T;
  }

  /**
   * The sequence number that follows the one given; `undefined` when it is still to come, or none is given.
   * @throws StatusError OUT_OF_RANGE when it is not to be had here, INVALID_ARGUMENT when it is no number.
   */
  next(after: After): number | undefined {
    if (after == null || after === '') return undefined;
    const sequence = typeof after === 'string' && !/^\d+$/.test(after) ? NaN : Number(after);
    // What was not set, in proto3; unless this is the number before the first.
    if (String(after) === '0' && (this.startAfter > 0 || this.capacity === 0)) return undefined;
    if (!Number.isSafeInteger(sequence))
      throw new StatusError(status.INVALID_ARGUMENT, 'the sequence number to resume after is not an integer');
    if (sequence < this.first - 1)
      throw new StatusError(
        status.OUT_OF_RANGE,
        `history begins at ${this.first}, which is beyond ${sequence + 1}`,
      );
    if (sequence > this.last)
      throw new StatusError(status.OUT_OF_RANGE, `history ends at ${this.last}, before ${sequence}`);
    return sequence === this.last ? undefined : sequence + 1;
  }

  private slot(sequence: number): number {
    return (sequence - this.startAfter - 1) % this.capacity;
  }
}
