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
   * As `next()`, but an item that is there comes without a promise. While this waits, items go to the taker as they
   * come; once the taker has no room, the answer is `AGAIN`.
   */
  abstract handTo(taker: Taker<T>): IteratorResult<T> | Promise<IteratorResult<T>>;
}

/** The answer that says to ask again. */
export const AGAIN: IteratorResult<never, undefined> = { done: false, value: undefined as never };

/** What an iterator of `leat/sources` has for whoever reads it, besides `next()`. */
export interface Guest {
  /** Tells the iterator that its reader also watches what it leaves behind. */
  adopt(): void;
  /** Ends the iterator at once, as its signal does. */
  abort(reason: unknown): void;
  /** As `return()`, but settles when everything that this iterator read from has finished, however long that takes. */
  leave(): unknown;
  /** Whether something that this iterator read from has not answered since, and cannot be woken. */
  readonly stuck: boolean;
}

/** By name, as there might be a second copy of this package. */
export const guest: unique symbol = Symbol.for('leat.guest') as never;

/** An iterator of `leat/sources`, when this is one. */
export function guestOf(iterator: unknown): Guest | undefined {
  const ours = (iterator as { [guest]?: true } | null | undefined)?.[guest] === true;
  return ours ? (iterator as Guest) : undefined;
}
