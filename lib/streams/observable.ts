import { isThenable } from '../check.ts';
import { forget } from '../hooks.ts';
import type { ObservableLike } from '../types.ts';

/** Who is subscribed; one that emits while it is subscribed to may look at `closed`, as those of RxJS do. */
export interface Observer<T> {
  readonly closed: boolean;
  next(value: T): void;
  error(error: unknown): void;
  complete(): void;
}

/**
 * Subscribes, and answers how to end that. Some answer nothing, whatever the type says, or a promise; one that
 * throws has failed.
 */
export function observe<T>(observable: ObservableLike<T>, observer: Observer<T>): () => void {
  try {
    const subscription: unknown = observable.subscribe(observer);
    if (!isThenable(subscription)) return () => unsubscribe(subscription);
    subscription.then(undefined, error => observer.error(error));
    return () => forget(subscription.then(unsubscribe));
  } catch (error) {
    observer.error(error);
    return () => {};
  }
}

function unsubscribe(subscription: unknown): void {
  if (typeof subscription === 'function') subscription();
  else (subscription as { unsubscribe?(): void } | undefined)?.unsubscribe?.();
}
