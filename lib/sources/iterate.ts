import type { ObservableLike, ReadableStreamLike, Stream } from '../types.ts';
import { expected } from './check.ts';
import { fromObservable } from './listen.ts';

/** What a stream yields. */
export type Item<S> =
  S extends AsyncIterable<infer T>
    ? T
    : S extends Iterable<infer T>
      ? Awaited<T>
      : S extends ReadableStreamLike<infer T>
        ? T
        : S extends ObservableLike<infer T>
          ? T
          : never;

/** A Node stream, as much of it as is used. */
interface NodeReadable<T> extends AsyncIterable<T> {
  destroy(): void;
  /** What a client stream of grpc-js has. */
  cancel?: unknown;
  on(event: 'error', listener: () => void): unknown;
}

export function isStream(value: unknown): value is Stream<unknown> {
  if (typeof value !== 'object' || value === null) return false;
  return (
    Symbol.asyncIterator in value ||
    Symbol.iterator in value ||
    typeof (value as { getReader?: unknown }).getReader === 'function' ||
    typeof (value as { subscribe?: unknown }).subscribe === 'function'
  );
}

function isReadable<T>(stream: Stream<T>): stream is Stream<T> & NodeReadable<T> {
  return Symbol.asyncIterator in stream && 'destroy' in stream && 'pipe' in stream;
}

/** A Node stream may fail before it is read, which nobody hears of until its iterator tells. */
export function hush<T>(stream: Stream<T>): void {
  if (isReadable(stream)) stream.on('error', () => {});
}

/** Opens any stream for pulling, in the way that `return()` wakes a pending `next()` if there is one. */
export function iterate<T>(name: string, stream: Stream<T>): AsyncIterator<T> {
  if (!isStream(stream)) throw expected(name, 'an AsyncIterable or another stream', stream);
  if ('getReader' in stream) return fromReadableStream(stream);
  if (Symbol.asyncIterator in stream) {
    if (isReadable(stream)) return fromReadable(stream);
    return stream[Symbol.asyncIterator]();
  }
  if (Symbol.iterator in stream) return fromIterator(stream[Symbol.iterator]());
  return fromObservable(stream);
}

/** Asks an iterator for its next step; what it throws at once is a rejection too. */
export function read<T>(iterator: AsyncIterator<T>): Promise<IteratorResult<T>> {
  try {
    return Promise.resolve(iterator.next());
  } catch (error) {
    return Promise.reject(error);
  }
}

/** A plain iterator; promises among its values are awaited, as `for await` does. */
function fromIterator<T>(iterator: Iterator<T>): AsyncIterator<T> {
  return {
    async next() {
      const step = iterator.next();
      return step.done ? step : { done: false, value: await step.value };
    },
    async return() {
      iterator.return?.();
      return { done: true, value: undefined };
    },
  };
}

/** A Node stream's own iterator wakes only when the stream is destroyed. */
function fromReadable<T>(stream: NodeReadable<T>): AsyncIterator<T> {
  const iterator = stream[Symbol.asyncIterator]();
  hush(stream);
  return {
    next: () => iterator.next(),
    async return() {
      stream.destroy();
      // This does not end the call of a client stream of grpc-js. The other way round `next()` would fail with it.
      if (typeof stream.cancel === 'function') stream.cancel();
      await iterator.return?.();
      return { done: true, value: undefined };
    },
  };
}

/** A web stream's own iterator wakes for nothing; its reader does when it is cancelled. */
function fromReadableStream<T>(stream: ReadableStreamLike<T>): AsyncIterator<T> {
  const reader = stream.getReader();
  return {
    next: () => reader.read() as Promise<IteratorResult<T>>,
    async return() {
      await reader.cancel();
      return { done: true, value: undefined };
    },
  };
}

/** Lets go of a stream that was never opened. An observable holds nothing before that. */
export async function release(stream: Stream<unknown>): Promise<void> {
  if (Symbol.asyncIterator in stream || 'getReader' in stream) await iterate('source', stream).return?.();
}
