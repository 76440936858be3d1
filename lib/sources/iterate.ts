import { forget } from '../hooks.ts';
import { guestOf } from '../streams/hand-over.ts';
import { fromIterator, hold, type Puller } from '../streams/open.ts';
import { Turns } from '../streams/turns.ts';
import type { ObservableLike, ReadableStreamLike, Source } from '../types.ts';
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

export function isStream(value: unknown): value is Source<unknown> {
  if (typeof value !== 'object' || value === null) return false;
  return (
    Symbol.asyncIterator in value ||
    Symbol.iterator in value ||
    typeof (value as { getReader?: unknown }).getReader === 'function' ||
    typeof (value as { subscribe?: unknown }).subscribe === 'function'
  );
}

function isReadable<T>(stream: Source<T>): stream is Source<T> & NodeReadable<T> {
  return Symbol.asyncIterator in stream && 'destroy' in stream && 'pipe' in stream;
}

/**
 * Keeps a stream that is read later, or not at all: a Node stream might fail before it is read, and a promise in a list
 * might reject, which nobody hears of until the iterator tells.
 * @throws TypeError when it is no stream.
 */
export function keep<T>(
  name: string,
  stream: Source<T>,
  what = 'an AsyncIterable or another stream',
): Source<T> {
  if (!isStream(stream)) {
    forget(stream);
    throw expected(name, what, stream);
  }
  if (isReadable(stream)) stream.on('error', () => {});
  hold(stream);
  return stream;
}

/** Opens any stream for pulling, in the way that `return()` wakes a pending `next()` if there is one. */
export function iterate<T>(name: string, stream: Source<T>): Reader<T> {
  return new Reader(open(keep(name, stream)));
}

function open<T>(stream: Source<T>): Puller<T> {
  if ('getReader' in stream) return fromReadableStream(stream);
  if (Symbol.asyncIterator in stream) {
    if (isReadable(stream)) return fromReadable(stream);
    return stream[Symbol.asyncIterator]();
  }
  if (Symbol.iterator in stream) return fromIterator(stream[Symbol.iterator]()) as Puller<T>;
  return fromObservable(stream);
}

/** Somebody else's iterator, which is asked for one step at a time, and left once. */
export class Reader<T> extends Turns {
  private left: Promise<unknown> | undefined;

  constructor(private readonly iterator: Puller<T>) {
    super();
    guestOf(iterator)?.adopt();
  }

  /** Asks for the next step; what is thrown at once is a rejection too. */
  read(): Promise<IteratorResult<T>> {
    try {
      return this.step()?.then(this.resume) ?? Promise.resolve(this.iterator.next());
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** The iterator ended by itself; settles when what that one read from has finished, too. */
  ended(): unknown {
    return guestOf(this.iterator)?.leave();
  }

  /** Settles when the iterator has finished, if it ever does. */
  leave(): Promise<unknown> {
    this.left ??= this.close();
    return this.left;
  }

  /** Whether the iterator, once it was left, waits for something that it read from. */
  get stuck(): boolean {
    return guestOf(this.iterator)?.stuck ?? false;
  }

  private readonly resume = (): IteratorResult<T> | Promise<IteratorResult<T>> =>
    this.left ? { done: true, value: undefined } : this.iterator.next();

  private async close(): Promise<unknown> {
    const ours = guestOf(this.iterator);
    return ours ? ours.leave() : this.iterator.return?.();
  }
}

/** A Node stream's own iterator wakes only when the stream is destroyed. */
function fromReadable<T>(stream: NodeReadable<T>): Puller<T> {
  const iterator = stream[Symbol.asyncIterator]();
  return {
    next: () => iterator.next(),
    async return() {
      stream.destroy();
      // `destroy` does not end the call of a client stream of grpc-js; `cancel` before it would fail `next()`.
      if (typeof stream.cancel === 'function') stream.cancel();
      await iterator.return?.();
      return { done: true, value: undefined };
    },
  };
}

/** A web stream's own iterator wakes for nothing; its reader does when it is cancelled. */
function fromReadableStream<T>(stream: ReadableStreamLike<T>): Puller<T> {
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
export async function release(stream: Source<unknown>): Promise<void> {
  if (Symbol.asyncIterator in stream || 'getReader' in stream) await iterate('source', stream).leave();
}
