import { status } from '@grpc/grpc-js';
import { answerOf, isBoolean } from '../hooks.ts';
import { StatusError } from '../status/status.ts';
import { MAX_AT_ONCE } from '../streams/turns.ts';
import type { Items } from '../types.ts';
import { broadcastOnce } from '../wire/broadcast.ts';
import { Backlog } from './backlog.ts';
import { type Failure, Feed, LATER, NONE } from './feed.ts';
import type { History } from './history.ts';

/**
 * What happens to a subscriber that has `capacity` items waiting when the next one comes. `drop-newest`: it
 * misses the new one. `drop-oldest`: it misses the one that waited longest. `latest`: one item waits, the
 * newest. `conflate`: of the items waiting with one key only the newest is kept, in the order they were
 * published; with more keys than `capacity` it ends as with `error`. `error`: it ends with `RESOURCE_EXHAUSTED`.
 *
 * What is in the window of a call, 256 messages or 128 KiB, is older than what waits here:
 * `configure({ maxUnackedMessages: 1 })` for the freshest.
 */
export type SlowConsumer = 'drop-newest' | 'drop-oldest' | 'latest' | 'conflate' | 'error';

/** The items of a topic on their way to one subscriber. */
export interface TopicSubscription<T> extends Items<T> {
  /** Items waiting. */
  readonly size: number;
  /** Items this subscriber missed: dropped, or replaced by a newer one of their key. */
  readonly dropped: number;
}

/** What a subscription knows of its topic. */
export interface Hub<T> {
  readonly history: History<T>;
  readonly subscriptions: Set<SubscriptionFeed<T>>;
}

export interface SubscriptionSettings<T> {
  readonly capacity: number;
  readonly overflow: SlowConsumer;
  readonly filter: ((item: T) => boolean) | undefined;
  /** Sequence number of the first item to read from history. */
  readonly cursor: number | undefined;
}

/**
 * What waits for one subscriber. One that comes back reads the topic's history itself, by a cursor, until it
 * has caught up. Meanwhile nothing is stored for it but what history lets go of before it was read; so it
 * holds no more than its capacity, and nothing can come twice or be missed in between.
 */
export class SubscriptionFeed<T> extends Feed<T> implements TopicSubscription<T> {
  /** Sequence number of the last item published before it was there. */
  readonly since: number;
  private readonly hub: Hub<T>;
  private readonly filter: ((item: T) => boolean) | undefined;
  private readonly stored: Backlog<T>;
  private cursor: number | undefined;

  constructor(hub: Hub<T>, settings: SubscriptionSettings<T>) {
    super();
    this.hub = hub;
    this.since = hub.history.last;
    this.filter = settings.filter;
    this.cursor = settings.cursor;
    this.stored = new Backlog<T>(settings);
  }

  get size(): number {
    const behind = this.cursor === undefined ? 0 : this.hub.history.last - this.cursor + 1;
    return this.ended ? 0 : behind + this.stored.size;
  }

  get dropped(): number {
    return this.stored.dropped;
  }

  start(signal: AbortSignal | undefined): void {
    this.follow(signal);
  }

  complete(failure: Failure | undefined): void {
    this.finish(failure);
  }

  /** Takes what was just published. */
  offer(published: T, itsKey: unknown): void {
    let item = published;
    let key = itsKey;
    if (this.cursor !== undefined) {
      if (this.cursor >= this.hub.history.first) return;
      // History has just let go of what was to be read next: from here on it is ours to keep.
      item = this.hub.history.evicted as T;
      broadcastOnce(item);
      key = this.hub.history.evictedKey;
      this.cursor += 1;
    }
    if (this.filter !== undefined && !this.wants(item)) return;
    if (this.pass(item)) return;
    if (this.stored.add(item, key) !== undefined) return;
    this.stop({ error: new StatusError(status.RESOURCE_EXHAUSTED, 'the subscriber is too slow') });
  }

  protected override get searching(): boolean {
    return this.cursor !== undefined;
  }

  protected override take(): T | typeof NONE | typeof LATER {
    const { stored } = this;
    const { history } = this.hub;
    if (stored.size > 0) return stored.shift();
    for (let looked = 0; this.cursor !== undefined; looked++) {
      if (looked === MAX_AT_ONCE) {
        setImmediate(() => this.serve());
        return LATER;
      }
      const item = history.get(this.cursor);
      broadcastOnce(item);
      this.cursor = this.cursor < history.last ? this.cursor + 1 : undefined;
      if (this.filter === undefined || this.wants(item)) return item;
      if (this.ended) return NONE;
    }
    return NONE;
  }

  protected override released(): void {
    this.stored.clear();
    this.hub.subscriptions.delete(this);
  }

  private wants(item: T): boolean {
    try {
      return answerOf('filter', 'a boolean', this.filter?.(item), isBoolean);
    } catch (error) {
      this.stop({ error });
      return false;
    }
  }
}
