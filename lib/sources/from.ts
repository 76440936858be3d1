import { isString, survive } from '../hooks.ts';
import type { Items, ObservableLike, Source } from '../types.ts';
import { checkBacklog } from './backlog.ts';
import { checkOptions, checkSignal, expected } from './check.ts';
import { iterate, keep } from './iterate.ts';
import { fromObservable, Listening, type ListenOptions } from './listen.ts';
import { PullFeed } from './pull.ts';

/** What may wait for the consumer, and when it ends. */
export type FromOptions = ListenOptions;

/** Which events end it, or fail it, beside what may wait. */
export interface FromEventOptions extends ListenOptions {
  /** The events that end it, such as `end` or `close`. */
  readonly end?: string | readonly string[];
  /**
   * The event that fails it, with what is emitted.
   * @default 'error'
   */
  readonly error?: string;
}

/** The part of an EventEmitter that is used. */
export interface EmitterLike {
  /** Adds a listener. */
  on(event: string, listener: (value: any) => void): unknown;
  /** Takes it away again. */
  off(event: string, listener: (value: any) => void): unknown;
}

/** The part of an EventTarget that is used. */
export interface TargetLike {
  /** Adds a listener. */
  addEventListener(event: string, listener: (value: any) => void): unknown;
  /** Takes it away again. */
  removeEventListener(event: string, listener: (value: any) => void): unknown;
}

/**
 * Makes an iterator that can be woken, and obeys a signal, of anything that yields: an emitter's event, an
 * observable, a Node or web stream, any iterable. An emitter or observable is listened to at once, until the
 * iterator ends; the others are read only when asked, and a stream is destroyed or cancelled at the end.
 *
 * @example
 * return from(sensor, 'reading', { end: 'close', overflow: 'drop-oldest', signal: call.signal });
 * @throws TypeError when it is none of these, or an option is out of its range.
 */
export function from<T>(
  emitter: EmitterLike | TargetLike,
  event: string,
  options?: FromEventOptions,
): Items<T>;
export function from<T>(stream: Source<T>, options?: FromOptions): Items<T>;
export function from<T>(
  source: EmitterLike | TargetLike | Source<T>,
  first?: string | FromOptions,
  second?: FromEventOptions,
): Items<T> {
  const [event, options = {}] = typeof first === 'string' ? [first, second] : [undefined, first];
  const names = ['capacity', 'overflow', 'signal'] as const;
  checkOptions<FromEventOptions>(options, typeof first === 'string' ? [...names, 'end', 'error'] : names);
  const { capacity = 1, overflow = 'error' } = options;
  checkBacklog(capacity, overflow, ['drop-newest', 'drop-oldest', 'latest', 'error']);
  checkSignal(options.signal);
  if (event !== undefined) return fromEvent(source as EmitterLike | TargetLike, event, options);
  const stream = keep('source', source as Source<T>, 'an emitter with an event, or a stream');
  if (isObservable(stream)) return fromObservable(stream, options);
  return new PullFeed(iterate('source', stream), { signal: options.signal });
}

function isObservable<T>(stream: Source<T>): stream is ObservableLike<T> {
  return (
    'subscribe' in stream &&
    !(Symbol.asyncIterator in stream || Symbol.iterator in stream || 'getReader' in stream)
  );
}

function fromEvent<T>(
  source: EmitterLike | TargetLike,
  event: string,
  options: FromEventOptions,
): Listening<T> {
  const { end = [], error = 'error' } = options;
  const names = [end].flat();
  if (!names.every(isString)) throw expected('end', 'the name of an event, or a list of them', end);
  if (!isString(error)) throw expected('error', 'the name of an event', error);
  const feed = new Listening<T>(options);
  const listeners: [string, (value: T) => void][] = [[event, value => void feed.push(value)]];
  listeners.push([error, value => feed.fail(value)]);
  for (const name of names) listeners.push([name, () => feed.close()]);
  const [add, remove] = methods(source);
  const stop = () => {
    for (const [name, listener] of listeners) remove.call(source, name, listener);
  };
  return feed.attach(() => {
    try {
      for (const [name, listener] of listeners) add.call(source, name, listener);
    } catch (error) {
      survive(stop);
      throw error;
    }
    return stop;
  });
}

function methods(source: EmitterLike | TargetLike): [EmitterLike['on'], EmitterLike['off']] {
  const { on, off, addEventListener, removeEventListener } = (source ?? {}) as EmitterLike & TargetLike;
  if (areMethods(on, off)) return [on, off];
  if (areMethods(addEventListener, removeEventListener)) return [addEventListener, removeEventListener];
  throw expected('source', 'an EventEmitter or an EventTarget', source);
}

function areMethods(...values: unknown[]): boolean {
  return values.every(value => typeof value === 'function');
}
