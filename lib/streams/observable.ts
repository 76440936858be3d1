import { isThenable } from '../check.ts';
import type { ObservableLike } from '../types.ts';

/** Who is subscribed; one that emits while it is subscribed to may look at `closed`, as those of RxJS do. */
export interface Observer<T> {
  readonly closed: boolean;
  next(value: T): void;
  error(error: unknown): void;
  complete(): void;
}

/**
 * Subscribes, and answers how to end that, which might throw, or answer a promise. Some subscriptions are nothing,
 * whatever the type says, or a promise; one that throws has failed.
 */
export function observe<T>(observable: ObservableLike<T>, observer: Observer<T>): () => unknown {
  try {
    const subscription: unknown = observable.subscribe(observer);
    if (!isThenable(subscription)) return () => unsubscribe(subscription);
    subscription.then(undefined, error => observer.error(error));
    return () => subscription.then(unsubscribe, () => {});
  } catch (error) {
    observer.error(error);
    return () => {};
  }
}

function unsubscribe(subscription: unknown): unknown {
  if (typeof subscription === 'function') return subscription();
  return (subscription as { unsubscribe?(): unknown } | undefined)?.unsubscribe?.();
}
