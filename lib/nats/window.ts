import type { Failure } from '../sources/feed.ts';
import type { TopicSubscription } from '../sources/subscription.ts';
import {
  type LocalTopic,
  localTopic,
  type TopicOptions,
  type TopicSubscribeOptions,
} from '../sources/topic.ts';
import { anotherStream, isSameTime, type Position } from './position.ts';

/**
 * The last items that were read from a stream, and all who read them here: a `topic()` that knows the number
 * each of its items has in the stream. It has all that was stored after `base` and up to `last`, and nothing
 * else; numbers in between might be missing.
 */
export class Window<T> {
  /** Everything after this one is here, up to `last`. */
  base: Position;
  last: Position;
  private topic: LocalTopic<T>;
  /** Of the items in history, by their places in the topic: two numbers each, as an object each would cost more than it. */
  private readonly sequences: number[] = [];
  private readonly times: (number | undefined)[] = [];
  private readonly options: TopicOptions<T> & { readonly history: number };

  constructor(options: TopicOptions<T> & { readonly history: number }, from: Position) {
    this.options = options;
    this.topic = localTopic<T>(options);
    this.base = from;
    this.last = from;
  }

  get subscribers(): number {
    return this.topic.subscribers;
  }

  add(item: T, position: Position): void {
    // First, since `key` is the user's, and might throw.
    const slot = this.slot(this.topic.publish(item));
    const evicted = this.sequences[slot];
    if (evicted !== undefined) this.base = { sequence: evicted, ms: this.times[slot] };
    this.sequences[slot] = position.sequence;
    this.times[slot] = position.ms;
    this.last = position;
  }

  /** Nothing that is read here is stored up to there. */
  pass(to: Position): void {
    if (to.sequence > this.last.sequence) this.last = to;
  }

  covers(sequence: number): boolean {
    return sequence >= this.base.sequence && sequence <= this.last.sequence;
  }

  /**
   * Whether one can go on from there in memory.
   * @throws StatusError OUT_OF_RANGE when what has that number was stored at another time.
   */
  has({ sequence, ms }: Position): boolean {
    if (!this.covers(sequence)) return false;
    if (ms === undefined) return true;
    const time = this.timeOf(sequence);
    if (time !== undefined && !isSameTime(time, ms)) throw anotherStream();
    return time !== undefined;
  }

  /** When the message of a number was stored, if that is known here. */
  timeOf(sequence: number): number | undefined {
    if (sequence === this.base.sequence) return this.base.ms;
    if (sequence === this.last.sequence) return this.last.ms;
    const slot = this.slot(this.placeOf(sequence));
    return this.sequences[slot] === sequence ? this.times[slot] : undefined;
  }

  /** From the next one on, or after a number that is covered. */
  subscribe(options: TopicSubscribeOptions<T>, after?: number): TopicSubscription<T> {
    if (after === undefined) return this.topic.subscribe(options);
    return this.topic.subscribe({ ...options, after: this.placeOf(after) });
  }

  /**
   * Ends all who read here with an error, which each of them reads of the failure, after what waits for them; what is
   * here stays, for those who come.
   */
  end(failure: Failure): void {
    const { first, history, last } = this.topic;
    const sequences = [...this.sequences];
    const times = [...this.times];
    const upTo = this.last;
    this.restart(failure, this.base);
    for (let place = first; place <= last; place++) {
      const slot = this.slot(place);
      this.add(history.get(place), { sequence: sequences[slot] as number, ms: times[slot] });
    }
    this.pass(upTo);
  }

  /** Ends all who read here with an error, and forgets everything. */
  restart(failure: Failure, from: Position): void {
    const old = this.topic;
    this.topic = localTopic<T>(this.options);
    this.sequences.length = 0;
    this.times.length = 0;
    this.base = from;
    this.last = from;
    old.end(failure);
  }

  close(): void {
    this.topic.close();
  }

  /** The place in the topic of the last item up to a number; `first - 1` when all are beyond. */
  private placeOf(sequence: number): number {
    let low = this.topic.first - 1;
    let high = this.topic.last;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.sequences[this.slot(middle)] as number) <= sequence) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  private slot(place: number): number {
    return place % this.options.history;
  }
}
