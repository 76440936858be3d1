import { answerOf, isBoolean } from '../hooks.ts';
import { type Failure, Feed, NONE } from '../sources/feed.ts';
import type { TopicSubscription } from '../sources/subscription.ts';
import type { TopicSubscribeOptions } from '../sources/topic.ts';
import { Fifo } from '../streams/fifo.ts';
import { HandingOver, type Taker } from '../streams/hand-over.ts';
import type { Entry, Page } from './pages.ts';
import { outOfRange, type Position } from './position.ts';

/** What one who comes back knows of the topic. */
export interface Past<T> {
  /** Those who catch up at this moment. */
  readonly catchUps: Set<CatchUp<T>>;
  /** Whether everything after a number is in memory here. */
  covers(sequence: number): boolean;
  /** From memory, and then live. */
  join(after: number, options: TopicSubscribeOptions<T>): TopicSubscription<T>;
  /** How far this process has read. */
  readonly reached: number;
  /** Resolves when this process has read on. */
  moved(): Promise<void>;
  /** @throws StatusError OUT_OF_RANGE when one cannot go on from there. Answers the last number stored. */
  check(from: Position): Promise<number>;
  /** What was stored after a number, and possibly some before it. */
  read(after: number): Promise<Page<T>>;
  /** One is not catching up any more. */
  left(catchUp: CatchUp<T>): void;
  /** Whether a number that is missing may have been trimmed before it was read here. */
  trimmed(sequence: number): Promise<boolean>;
  /** Why it ends when NATS cannot be read, after so many failures before; nothing when it tries again. */
  fatal(error: unknown, failures: number): Failure | undefined;
  /** Waits before NATS is asked again. */
  pause(failures: number): Promise<void>;
}

/**
 * What was stored since a client left: read from the stream as it is taken, until this process has the rest in
 * memory. From there on `live` is the same subscription that everybody has.
 */
export class CatchUp<T> extends Feed<T> {
  /** The rest of the subscription, once this process has it in memory. */
  live: TopicSubscription<T> | undefined;
  private readonly past: Past<T>;
  private readonly options: TopicSubscribeOptions<T>;
  private readonly page: Fifo<T> = new Fifo<T>();
  private position: Position;
  private reading = false;
  /** What makes it end once its page is given out. */
  private ending: Failure | undefined;

  constructor(past: Past<T>, from: Position, options: TopicSubscribeOptions<T>) {
    super();
    this.past = past;
    this.position = from;
    this.options = options;
    past.catchUps.add(this);
    this.follow(options.signal);
  }

  get size(): number {
    return this.page.size;
  }

  /** Ends it, after what it has read. */
  complete(failure?: Failure): void {
    this.finish(failure);
  }

  protected override take(): T | typeof NONE {
    return this.page.size > 0 ? this.page.shift() : NONE;
  }

  protected override wanted(): void {
    if (!this.reading && this.open) void this.catchUp();
  }

  protected override released(): void {
    this.page.clear();
    this.past.left(this);
  }

  /** Reads on while somebody waits. */
  private async catchUp(): Promise<void> {
    this.reading = true;
    let failures = 0;
    while (this.awaited && this.open) {
      try {
        await this.step();
        failures = 0;
      } catch (error) {
        this.ending ??= this.past.fatal(error, failures++);
        if (!this.ending) await this.past.pause(failures);
      }
      while (this.awaited && this.page.size > 0) this.hand(this.page.shift());
      if (this.live || this.ending) this.finish(this.ending);
    }
    this.reading = false;
  }

  /** Reads a page, or goes over to what is live. */
  private async step(): Promise<void> {
    const { past, position } = this;
    const last = await past.check(position);
    if (!this.open || this.joined()) return;
    // A client may have read more, from another process, than this one has.
    if (position.sequence > past.reached) return past.moved();
    const page = await past.read(position.sequence);
    const gap = gapOf(page, position.sequence);
    const trimmed = gap !== undefined && (await past.trimmed(gap + 1));
    for (const entry of page.entries) {
      const { sequence } = this.position;
      if (entry.sequence <= sequence) continue;
      if (trimmed && sequence >= gap)
        throw outOfRange(`the stream was trimmed beyond ${gap} before it was read`);
      if (!this.accept(entry)) break;
    }
    if (this.live || this.ending || !this.open) return;
    // Nothing that is read here is stored up to what was the last number before.
    if (page.all && last > this.position.sequence) this.position = { sequence: last, ms: undefined };
    this.joined();
  }

  /** Answers whether to read on. */
  private accept({ sequence, item, error }: Entry<T>): boolean {
    if (!this.open) return false;
    try {
      if (error !== undefined) throw error;
      if (item !== undefined && this.wants(item)) this.page.push(item);
    } catch (error) {
      this.ending = { error };
      return false;
    }
    this.position = { sequence, ms: undefined };
    return this.open && !this.joined();
  }

  private wants(item: T): boolean {
    const { filter } = this.options;
    return filter === undefined || answerOf('filter', 'a boolean', filter(item), isBoolean);
  }

  /** Goes over to what is in memory, in the same turn in which it reaches that far. */
  private joined(): boolean {
    if (!this.past.covers(this.position.sequence)) return false;
    this.live = this.past.join(this.position.sequence, this.options);
    this.past.left(this);
    return true;
  }
}

/** After which number a page has not the next one, for who reads it after a number. */
function gapOf({ entries }: Page<unknown>, after: number): number | undefined {
  let last = after;
  for (const { sequence } of entries) {
    if (sequence > last + 1) return last;
    last = Math.max(last, sequence);
  }
  return undefined;
}

const OVER: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** A subscription that began with a catch-up, of which nothing is kept once it is over. */
export class Resumed<T> extends HandingOver<T> implements TopicSubscription<T> {
  private past: CatchUp<T> | undefined;
  private live: TopicSubscription<T> | undefined;

  constructor(past: CatchUp<T>) {
    super();
    this.past = past;
  }

  get size(): number {
    return (this.past?.size ?? 0) + (this.joined?.size ?? 0);
  }

  get dropped(): number {
    return this.joined?.dropped ?? 0;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const { live, past } = this;
    if (past === undefined && live !== undefined) return live.next();
    const step = past?.next() ?? Promise.resolve(OVER);
    return step.then(step => (step.done ? (this.over() ?? step) : step));
  }

  override handTo(taker: Taker<T>): IteratorResult<T, undefined> | Promise<IteratorResult<T, undefined>> {
    const { live, past } = this;
    if (live instanceof HandingOver) return live.handTo(taker);
    const step = past?.handTo(taker);
    if (step instanceof Promise) return step.then(step => (step.done ? (this.over() ?? step) : step));
    if (step === undefined || step.done) return this.over() ?? OVER;
    return step;
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    const live = this.joined;
    await this.past?.return();
    await live?.return?.();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  private get joined(): TopicSubscription<T> | undefined {
    return this.live ?? this.past?.live;
  }

  /** What is live, once the past is given out; nothing when it ended before. */
  private over(): Promise<IteratorResult<T, undefined>> | undefined {
    this.live = this.joined;
    if (this.live === undefined) return undefined;
    this.past = undefined;
    return this.live.next();
  }
}
