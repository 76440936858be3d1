export interface Taker<T> {
  /** Takes an item, or says that it has no room just now. Runs no code but ours and that of grpc-js. */
  take(item: T): boolean;
}

/**
 * An iterator that gives a call what it waits for at once, in the middle of the `push` or the `publish`, without a
 * promise for each message: those of `leat/sources` are.
 */
export abstract class HandingOver<T> {
  /**
   * As `next()`, and what is there comes without a promise. What comes while it waits goes to the taker, again
   * and again; once that has no room, the answer is `AGAIN`.
   */
  abstract handTo(taker: Taker<T>): IteratorResult<T> | Promise<IteratorResult<T>>;
}

/** The answer that says to ask again. */
export const AGAIN: IteratorResult<never, undefined> = { done: false, value: undefined as never };
