import { answerOf } from '../hooks.ts';
import { broadcastAnew, broadcastLater } from '../wire/broadcast.ts';
import { checkBacklog } from './backlog.ts';
import { checkAfter, checkFunction, checkInteger, checkOptions, checkSignal, expected } from './check.ts';
import type { Failure } from './feed.ts';
import { type After, History } from './history.ts';
import { type Hub, type SlowConsumer, SubscriptionFeed, type TopicSubscription } from './subscription.ts';

/** How much waits for each subscriber, and what is kept for those that come back. */
export interface TopicOptions<T> {
  /**
   * How many items may wait for one subscriber. Minimum 1.
   * @default 256
   */
  readonly capacity?: number;
  /**
   * What happens when more would wait for a subscriber.
   * @default 'conflate' when there is a `key`, otherwise 'error'
   */
  readonly overflow?: SlowConsumer;
  /**
   * How many of the last items are kept for subscribers that come back. Minimum 0.
   * @default 0
   */
  readonly history?: number;
  /**
   * What an item is about: asked once for each item published, for `conflate`. What it throws, and a TypeError
   * when it answers with a promise, is thrown by `publish`, and that item is not published.
   */
  readonly key?: (item: T) => unknown;
  /**
   * The sequence number before the first. Numbers must never come again, or a subscriber that comes back
   * after a restart silently gets the wrong items: start from a stored one, or from `Date.now() * 1000`.
   * Minimum 0.
   * @default 0
   */
  readonly startAfter?: number;
}

/** Where one subscriber begins, and what it wants. */
export interface TopicSubscribeOptions<T> {
  /** Ends the subscription at once; the consumer gets `signal.reason` thrown. A `call` will do as options. */
  readonly signal?: AbortSignal;
  /**
   * Begin with the items after this sequence number; without one with the next item published. A string of digits
   * will do, such as a client's `last-event-id`. What proto3 has for a field that was not set is none, as is
   * `null`: `''`, and `0` unless it is the number before the first of a topic with history. Such a topic gives
   * all it has to who comes with `0`, and OUT_OF_RANGE once that is not all there was: where clients send a
   * number, have a `startAfter` above 0.
   */
  readonly after?: After;
  /**
   * Only these items, and only these count for `capacity`. Must be quick and publish nothing. What it throws ends
   * the subscription, and so does an answer that is no boolean, such as a promise.
   */
  readonly filter?: (item: T) => boolean;
  /**
   * How many items may wait for this subscriber. Minimum 1.
   * @default that of the topic
   */
  readonly capacity?: number;
  /**
   * What happens when more would wait for this subscriber.
   * @default that of the topic
   */
  readonly overflow?: SlowConsumer;
}

/** Publish and subscribe within this process. */
export interface Topic<T> {
  /**
   * Gives an item to everybody who is subscribed now, and answers its sequence number. Does nothing once the
   * topic is closed. An item is encoded once for each publish, so an object that was changed may be
   * published again; history, and who is behind by then, hold the object itself, and might get the change twice and
   * not what was before: publish a new one where that matters. One marked by
   * `broadcast` is encoded once for all publishes, and must not change.
   */
  publish(item: T): number;
  /**
   * Subscribes now, not at the first `next()`: everything published from here on is seen. A subscription
   * must be iterated, returned or aborted, or it is kept for ever.
   * @throws StatusError OUT_OF_RANGE when history does not reach `after`, INVALID_ARGUMENT when it is no number.
   */
  subscribe(options?: TopicSubscribeOptions<T>): TopicSubscription<T>;
  /** Ends all subscriptions, after what is waiting for them. */
  close(): void;
  /** Ends all subscriptions with an error, after what is waiting for them. */
  fail(error: unknown): void;
  /** How many are subscribed. */
  readonly subscribers: number;
  /** Sequence number of the oldest item in history; `last + 1` when there is none. */
  readonly first: number;
  /** Sequence number of the last item published. */
  readonly last: number;
}

/**
 * Makes a topic: what is published reaches every subscriber once, in order, and a slow one harms nobody else.
 *
 * @example
 * const updates = topic<Update>({ history: 1000, startAfter: Date.now() * 1000 });
 * updates.publish({ text: 'hello', sequence: updates.last + 1 });
 * // in a source; `after` comes from the client
 * return updates.subscribe({ signal: call.signal, after: request.after });
 * @throws TypeError when an option is out of its range.
 */
export function topic<T>(options: TopicOptions<T> = {}): Topic<T> {
  return localTopic(options);
}

/** The same, with an end that may be another for each subscriber. */
export function localTopic<T>(options: TopicOptions<T>): LocalTopic<T> {
  checkOptions(options, ['capacity', 'overflow', 'history', 'key', 'startAfter']);
  const { capacity = 256, history = 0, key, startAfter = 0 } = options;
  const { overflow = key ? 'conflate' : 'error' } = options;
  checkFunction('key', key);
  checkPolicy(capacity, overflow, key);
  checkInteger('history', history, 0);
  checkInteger('startAfter', startAfter, 0);
  return new LocalTopic<T>({ ...options, capacity, overflow }, new History<T>(history, startAfter));
}

/** @throws TypeError when a subscriber cannot be held so. */
export function checkPolicy(capacity: number, overflow: SlowConsumer, key: unknown): void {
  checkBacklog(capacity, overflow, ['drop-newest', 'drop-oldest', 'latest', 'conflate', 'error']);
  if (overflow === 'conflate' && key === undefined) throw expected('key', 'a function for `conflate`', key);
}

export class LocalTopic<T> implements Topic<T>, Hub<T> {
  readonly subscriptions: Set<SubscriptionFeed<T>> = new Set();
  private closed: { failure: Failure | undefined } | undefined;

  constructor(
    private readonly options: TopicOptions<T> & Required<Pick<TopicOptions<T>, 'capacity' | 'overflow'>>,
    readonly history: History<T>,
  ) {}

  get subscribers(): number {
    return this.subscriptions.size;
  }

  get first(): number {
    return this.history.first;
  }

  get last(): number {
    return this.history.last;
  }

  publish(item: T): number {
    if (this.closed) return this.history.last;
    if (typeof item === 'object' && item !== null)
      (this.subscriptions.size > 0 ? broadcastAnew : broadcastLater)(item);
    const key = this.keyOf(item);
    const sequence = this.history.add(item, key);
    for (const subscription of this.subscriptions) {
      // From here on they came meanwhile, by a filter.
      if (subscription.since >= sequence) break;
      subscription.offer(item, key);
    }
    return sequence;
  }

  subscribe(options: TopicSubscribeOptions<T> = {}): TopicSubscription<T> {
    checkOptions(options, ['signal', 'after', 'filter', 'capacity', 'overflow']);
    const {
      signal,
      after,
      filter,
      capacity = this.options.capacity,
      overflow = this.options.overflow,
    } = options;
    checkPolicy(capacity, overflow, this.options.key);
    checkFunction('filter', filter);
    checkSignal(signal);
    checkAfter(after);
    const cursor = this.history.next(after);
    const subscription = new SubscriptionFeed<T>(this, { capacity, overflow, filter, cursor });
    if (this.closed) subscription.complete(this.closed.failure);
    else this.subscriptions.add(subscription);
    subscription.start(signal);
    return subscription;
  }

  private keyOf(item: T): unknown {
    const { key } = this.options;
    return key && answerOf('key', 'a value to compare', key(item), isComparable);
  }

  close(): void {
    this.end(undefined);
  }

  fail(error: unknown): void {
    this.end({ error });
  }

  /** Ends all subscriptions; each reads the error of its failure. */
  end(failure: Failure | undefined): void {
    if (this.closed) return;
    this.closed = { failure };
    for (const subscription of this.subscriptions) subscription.complete(failure);
    this.subscriptions.clear();
  }
}

/** Anything but a promise, which is like no other. */
function isComparable(_answer: unknown): _answer is unknown {
  return true;
}
