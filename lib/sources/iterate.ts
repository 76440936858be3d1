import { forget } from '../hooks.ts';
import { guestOf } from '../streams/hand-over.ts';
import { hold, isReadable, isStream, open, type Puller } from '../streams/open.ts';
import { stepOf } from '../streams/step.ts';
import { Turns } from '../streams/turns.ts';
import type { ObservableLike, ReadableStreamLike, Source } from '../types.ts';
import { expected } from './check.ts';
import type { Failure } from './feed.ts';

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

/** Opens any stream for pulling. */
export function iterate<T>(name: string, stream: Source<T>): Reader<T> {
  return new Reader(open(keep(name, stream)));
}

/**
 * Takes steps apart for who gets them from a promise, where what is thrown is heard by nobody. A step that cannot be
 * read, because it is none or because its getters throw, is a failure.
 */
export function apart<T>(
  yielded: (value: T) => void,
  over: (failure?: Failure) => void,
): (step: IteratorResult<T>) => void {
  return step => {
    let done: boolean | undefined;
    let value: T | undefined;
    try {
      done = stepOf(step).done;
      if (!done) value = step.value;
    } catch (error) {
      return over({ error });
    }
    if (done) over();
    else yielded(value as T);
  };
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

  /** Tells that the iterator ended by itself; settles when the streams that it read from have finished, too. */
  ended(): unknown {
    return guestOf(this.iterator)?.leave();
  }

  /** Settles when the iterator has finished, if it ever does. */
  leave(): Promise<unknown> {
    this.left ??= this.close();
    return this.left;
  }

  /** Whether the iterator, after it was left, still waits for a stream that it read from. */
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

/** Lets go of a stream that was never opened. An observable holds nothing before that. */
export async function release(stream: Source<unknown>): Promise<void> {
  if (Symbol.asyncIterator in stream || 'getReader' in stream) await iterate('source', stream).leave();
}
