import type { Readable } from 'node:stream';
import { status } from '@grpc/grpc-js';
import { isThenable, show } from '../check.ts';
import { failureOf, forget } from '../hooks.ts';
import { StatusError } from '../status/status.ts';
import type { ObservableLike, ReadableStreamLike, Source } from '../types.ts';
import { Fifo } from './fifo.ts';
import { Lead, MAX_BURST } from './lead.ts';
import { observe } from './observable.ts';

/** An iterator to pull from: `next` may answer with a promise or at once. */
export interface Puller<T> {
  next(): Promise<IteratorResult<T>> | IteratorResult<T>;
  return?(): unknown;
}

/** How far an observable, which cannot be slowed down, may run ahead of its client. */
const MAX_OBSERVABLE_LEAD = 1024;

/** On iterators and streams that a call has taken; they can be read once. */
const taken: unique symbol = Symbol.for('leat.taken') as never;

/** Those that take no mark. */
const sealed = new WeakSet<object>();

/**
 * Opens whatever a source returned for pulling, for one call.
 * @throws StatusError INTERNAL when it cannot be read, or is already read by another call.
 */
export function iterate<T>(stream: Source<T>): Puller<T> {
  return open(stream, take);
}

/**
 * Opens anything that yields for pulling, in the way that `return()` wakes a pending `next()` if there is one.
 * @param claim sees the iterator, or the Node stream, before it is read.
 * @throws StatusError INTERNAL when it cannot be read.
 */
export function open<T>(stream: Source<T>, claim: <S extends object>(read: S) => S = same): Puller<T> {
  if (!isStream(stream)) throw notIterable(stream);
  if (isReadable(stream)) return fromReadable(claim(stream));
  if (isReadableStream(stream)) return fromReadableStream(claim(stream));
  if (Symbol.asyncIterator in stream) return claim(iteratorOf(stream[Symbol.asyncIterator]()));
  if (Symbol.iterator in stream) {
    hold(stream);
    return fromIterator(claim(iteratorOf(stream[Symbol.iterator]())));
  }
  if ('publish' in stream && 'close' in stream) throw notIterable(stream, TOPIC);
  return fromObservable(stream);
}

/** Whatever can be opened. */
export function isStream(value: unknown): value is Source<unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const { getReader, subscribe } = value as { getReader?: unknown; subscribe?: unknown };
  if (Symbol.asyncIterator in value || Symbol.iterator in value) return true;
  return typeof getReader === 'function' || typeof subscribe === 'function';
}

function same<S>(read: S): S {
  return read;
}

function iteratorOf<T extends Puller<unknown>>(iterator: T): T {
  if (typeof iterator === 'object' && typeof iterator?.next === 'function') return iterator;
  throw unreadable(NO_STREAM, `Expected the iterator of a stream to have \`next()\`, got ${show(iterator)}`);
}

function take<T extends object>(iterator: T): T {
  if (Object.hasOwn(iterator, taken) || sealed.has(iterator)) throw unreadable(ALREADY_READ, RETURNED_BEFORE);
  // A mark costs a tenth of an entry in a set, and other copies of this package see it.
  if (Object.isExtensible(iterator)) (iterator as { [taken]?: boolean })[taken] = true;
  else sealed.add(iterator);
  return iterator;
}

const NO_STREAM = 'the method has no stream';
const ALREADY_READ = 'the stream is already read';
const RETURNED_BEFORE = 'A source must return a new iterator for each call; this one was returned before';
const LOCKED = 'A ReadableStream can be read by one reader; this one is locked by another';

/** What returns nothing has forgotten to, or answers in another way. */
const NOTHING = ': is a `return` missing, or is it a handler of grpc-js, which goes in by `wrap(handler)`?';

const TOPIC = ', a topic: return `topic.subscribe({ signal })`';

function notIterable(value: unknown, hint = value === undefined ? NOTHING : ''): StatusError {
  return unreadable(
    NO_STREAM,
    `Expected a source to return an AsyncIterable or another stream, got ${show(value)}${hint}`,
  );
}

/** The developer's mistake, which the client is told less of than the developer. */
function unreadable(details: string, mistake: string): StatusError {
  const error = new StatusError(status.INTERNAL, details, { cause: new TypeError(mistake) });
  mistakes.add(error);
  return error;
}

const mistakes = new WeakSet<object>();

/** Whether `iterate` threw this because a source returned what it should not. */
export function isMistake(error: unknown): error is StatusError {
  return mistakes.has(error as object);
}

/**
 * Promises that are there before anybody asks for them might reject before that, too, and then end the process. What
 * is only like a promise is left alone: a query of a database might begin when it is waited for.
 */
export function hold(stream: object): void {
  if (Array.isArray(stream) || stream instanceof Set)
    for (const value of stream) if (value instanceof Promise) forget(value);
}

/** One that walks through what is there already, which runs no code of its own. */
function isBuiltIn<T>(iterator: Iterator<T>): iterator is IterableIterator<T> {
  return /^(Array|Set|Map) Iterator$/.test(String(Reflect.get(iterator, Symbol.toStringTag)));
}

/**
 * Promises among the values of a plain iterable are awaited, as `for await` does. One that rejects is the end of
 * it, and the iterator is closed, unless that was done already.
 */
function fromIterator<T>(iterator: Iterator<T>): Puller<Awaited<T>> {
  let steps = iterator;
  let closed = false;
  const close = () => {
    if (closed) return;
    closed = true;
    return iterator.return?.();
  };
  return {
    next() {
      const step = steps.next();
      if (step.done || !isThenable(step.value)) return step as IteratorResult<Awaited<T>>;
      if (steps === iterator && isBuiltIn(iterator)) {
        const rest = [...iterator];
        hold(rest);
        steps = rest.values();
      }
      return Promise.resolve(step.value).then(
        value => ({ done: false, value }),
        error => {
          try {
            close();
          } catch {
            // The first failure counts.
          }
          throw error;
        },
      );
    },
    return: close,
  };
}

export function isReadable(stream: object): stream is Readable {
  return 'pipe' in stream && 'destroy' in stream && Symbol.asyncIterator in stream;
}

function isReadableStream<T>(stream: object): stream is ReadableStreamLike<T> {
  return 'getReader' in stream && typeof stream.getReader === 'function';
}

/** A Readable's own iterator wakes from a wait only when the stream is destroyed. */
function fromReadable<T>(stream: Readable): Puller<T> {
  const iterator = stream[Symbol.asyncIterator]() as AsyncIterator<T>;
  // The stream might fail before it is pulled from, or when it is destroyed; its iterator tells of that.
  stream.on('error', () => {});
  return {
    next: () => iterator.next(),
    return() {
      stream.destroy();
      // `destroy` does not end the call of a client stream of grpc-js; `cancel` before it would fail `next()`.
      if ('cancel' in stream && typeof stream.cancel === 'function') stream.cancel();
      return iterator.return?.();
    },
  };
}

/** A pending `read()` wakes when the reader is cancelled. */
function fromReadableStream<T>(stream: ReadableStreamLike<T>): Puller<T> {
  if ('locked' in stream && stream.locked) throw unreadable(ALREADY_READ, LOCKED);
  const reader = stream.getReader();
  return {
    next: () => reader.read() as Promise<IteratorResult<T>>,
    return: () => reader.cancel(),
  };
}

/** What was emitted before it failed, or ran too far ahead, comes before the error. */
function fromObservable<T>(observable: ObservableLike<T>): Puller<T> {
  const values = new Fifo<T>();
  const lead = new Lead(MAX_OBSERVABLE_LEAD);
  let ended = false;
  let failure: { error: unknown } | undefined;
  let wake: (() => void) | undefined;
  let unsubscribe: (() => unknown) | undefined;
  const leave = () => {
    ended = true;
    wake?.();
    const left = unsubscribe;
    unsubscribe = undefined;
    return left?.();
  };
  // As with a `finally`, what fails at the end is the end, unless it failed before.
  const end = () => {
    const late = failureOf(leave);
    failure ??= late;
  };
  const fail = (error: unknown) => {
    if (ended) return;
    failure = { error };
    end();
  };
  unsubscribe = observe(observable, {
    get closed() {
      return ended;
    },
    next(value) {
      if (ended) return;
      if (!lead.admits(values.size)) return fail(tooFarAhead(values.size));
      values.push(value);
      wake?.();
    },
    error: fail,
    complete: end,
  });
  if (ended) end();
  const next = (): IteratorResult<T> | Promise<IteratorResult<T>> => {
    if (values.size > 0) return { done: false, value: values.shift() };
    if (failure) throw failure.error;
    if (ended) return { done: true, value: undefined };
    return new Promise<void>(resolve => {
      wake = resolve;
    }).then(next);
  };
  return {
    next,
    return() {
      values.clear();
      return leave();
    },
  };
}

function tooFarAhead(stored: number): StatusError {
  const details =
    stored < MAX_BURST ? 'the client is too slow for this stream' : 'this stream has too much at once';
  return new StatusError(status.RESOURCE_EXHAUSTED, details);
}
