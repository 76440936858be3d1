import { createHook } from 'node:async_hooks';
import { getEventListeners } from 'node:events';

/** Takes what is there without waiting for more. */
export async function taken<T>(iterator: AsyncIterator<T>, count: number): Promise<T[]> {
  const items: T[] = [];
  while (items.length < count) {
    const step = await iterator.next();
    if (step.done) break;
    items.push(step.value);
  }
  return items;
}

/** Everything to the end. */
export async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

/** Everything up to the error, and the error. */
export async function failure<T>(stream: AsyncIterable<T>): Promise<{ items: T[]; error: any }> {
  const items: T[] = [];
  try {
    for await (const item of stream) items.push(item);
  } catch (error) {
    return { items, error };
  }
  throw new Error(`no error after ${items.length} items`);
}

/** What a synchronous call throws. */
export function thrown(run: () => unknown): any {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

/** Settles once all that is already on its way has arrived. */
export const settled = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

/** How many promises are made while something synchronous runs. */
export function promisesIn(run: () => void): number {
  let count = 0;
  const hook = createHook({
    init(_id, type) {
      if (type === 'PROMISE') count += 1;
    },
  }).enable();
  try {
    run();
  } finally {
    hook.disable();
  }
  return count;
}

/** How many listeners a signal has. */
export const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

/** Counts the timers that are set and have neither fired nor been cleared, from now until `restore()`. */
export function countTimers(): { readonly size: number; restore(): void } {
  const { setTimeout, clearTimeout } = globalThis;
  const live = new Set<unknown>();
  globalThis.setTimeout = ((run: (...args: unknown[]) => void, ms: number, ...args: unknown[]) => {
    const timer = setTimeout(() => {
      live.delete(timer);
      run(...args);
    }, ms);
    live.add(timer);
    return timer;
  }) as typeof setTimeout;
  globalThis.clearTimeout = timer => {
    live.delete(timer);
    clearTimeout(timer);
  };
  return {
    get size() {
      return live.size;
    },
    restore: () => void Object.assign(globalThis, { setTimeout, clearTimeout }),
  };
}

/** An async iterable that counts, and tells what was done to it. */
export function counter(to = Infinity): AsyncIterableIterator<number> & { pulled: number; returned: number } {
  return {
    pulled: 0,
    returned: 0,
    async next() {
      if (this.pulled >= to) return { done: true, value: undefined };
      this.pulled += 1;
      return { done: false, value: this.pulled };
    },
    async return() {
      this.returned += 1;
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
