/**
 * How the iterators of `leat/sources` give a call what it waits for: at once, in the middle of the `push` or the
 * `publish`, without a promise for each message.
 */
export const handOver: unique symbol = Symbol('leat.handOver');

export interface Taker<T> {
  /** Takes an item, or says that it has no room just now. Runs no code but ours and that of grpc-js. */
  take(item: T): boolean;
}

export interface HandsOver<T> {
  /**
   * As `next()`, and what is there comes without a promise. What comes while it waits goes to the taker, again
   * and again; once that has no room, the answer is `AGAIN`.
   */
  [handOver](taker: Taker<T>): IteratorResult<T> | Promise<IteratorResult<T>>;
}

/** The answer that says to ask again. */
export const AGAIN: IteratorResult<never, undefined> = { done: false, value: undefined as never };

export function handsOver<T>(iterator: object): iterator is HandsOver<T> {
  return handOver in iterator;
}
