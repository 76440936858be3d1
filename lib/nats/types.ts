import type { TopicSubscription } from '../sources/subscription.ts';
import type { TopicSubscribeOptions } from '../sources/topic.ts';

/** What happened to a topic: `error` says why. */
export interface JetStreamEvent {
  /**
   * `live` and `away`: NATS is there, or not. `lost`: the stream was made anew, went back, or was trimmed before
   * it was read; subscribers ended with OUT_OF_RANGE. `poison`: a message cannot be decoded.
   */
  readonly type: 'live' | 'away' | 'lost' | 'poison';
  /** Why, where something failed. */
  readonly error?: unknown;
  /** Of the message. */
  readonly sequence?: number;
}

/** How one item is stored. */
export interface PublishOptions {
  /**
   * Tells this item from every other: it is stored once, however often it is published within the stream's
   * `duplicate_window`, 2 minutes by default. At most 8192 characters, without blanks around them and control
   * characters.
   * @default a random one
   */
  readonly id?: string;
  /**
   * Another of the stream's subjects.
   * @default that of the topic
   */
  readonly subject?: string;
  /**
   * How long NATS may take to store it, in milliseconds. Minimum 1. It is sent again as long as that, and within the
   * stream's `duplicate_window`.
   * @default 5000
   */
  readonly timeoutMs?: number;
}

/** Publish and subscribe among any number of processes. */
export interface JetStreamTopic<T> {
  /**
   * Stores an item, and answers its sequence number. After an UNAVAILABLE it may be stored or not: publish it
   * again with the same `id`.
   * @throws TypeError when it is nothing that can be read again: `undefined`, `null`, and what is only `null` in
   *   JSON, such as NaN, unless there is another codec; StatusError when it is not stored: UNAVAILABLE,
   *   RESOURCE_EXHAUSTED when NATS is full, INVALID_ARGUMENT when it is too large, FAILED_PRECONDITION when the
   *   stream is gone, sealed, or does not take the subject, PERMISSION_DENIED.
   */
  publish(item: T, options?: PublishOptions): Promise<number>;
  /**
   * Subscribes now, not at the first `next()`. `after` is a sequence number or a token; `0` is none where numbers
   * begin beyond 1, as in streams that `create` makes, and else the beginning. A subscription without one may
   * begin with an item that was published just before. A subscription must be iterated, returned or
   * aborted, or it is kept for ever.
   * @throws StatusError OUT_OF_RANGE when the stream does not reach `after`, possibly from the first `next()`,
   *   INVALID_ARGUMENT when it is no number and no token, UNAVAILABLE when NATS is away for longer than `awayMs`.
   */
  subscribe(options?: TopicSubscribeOptions<T>): TopicSubscription<T>;
  /** Ends all subscriptions, after what is waiting for them, and lets go of NATS; its connection stays open. */
  close(): Promise<void>;
  /** How many are subscribed. */
  readonly subscribers: number;
  /** How many of them read the stream, to catch up. */
  readonly catchingUp: number;
  /** Sequence number of the last item this process has read. */
  readonly last: number;
  /** How many messages wait in NATS to be read by this process. */
  readonly behind: number;
  /** How many messages were left out because they cannot be decoded. */
  readonly skipped: number;
  /** Whether NATS is there. */
  readonly state: 'live' | 'away' | 'closed';
}
