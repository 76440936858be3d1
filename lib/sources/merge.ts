import { forget } from '../hooks.ts';
import { Fifo } from '../streams/fifo.ts';
import { isStream } from '../streams/open.ts';
import type { Items, Source } from '../types.ts';
import { checkLimit, checkOptions, checkSignal, expected, isPlain } from './check.ts';
import { type Failure, Feed, NONE } from './feed.ts';
import { apart, type Item, iterate, keep, type Reader, release } from './iterate.ts';
import { finished, watchLeft } from './leaving.ts';

/** When merging ends. */
export interface MergeOptions {
  /**
   * How many sources are read at a time; the next one is opened when one has ended. Minimum 1.
   * @default Infinity
   */
  readonly concurrency?: number;
  /** Ends it at once; the consumer gets `signal.reason` thrown. */
  readonly signal?: AbortSignal;
}

type Merged<S> = Items<Item<S>>;

/**
 * Joins sources into one, each item as it comes. Every source is read one item ahead. The first error stops
 * the others and comes after the items that came before it. The last argument may be options: a plain object that
 * is no stream, or one that has `signal` or `concurrency`.
 *
 * @example
 * return merge(...shards.map(shard => shard.scan(query)), { concurrency: 4, signal: call.signal });
 * @throws TypeError when an argument is no stream, or an option out of its range.
 */
export function merge<S extends readonly Source<unknown>[]>(
  ...sources: readonly [...S, MergeOptions]
): Merged<S[number]>;
export function merge<S extends readonly Source<unknown>[]>(...sources: S): Merged<S[number]>;
export function merge(...given: readonly unknown[]): Merged<Source<unknown>> {
  const last = given.at(-1);
  const options = given.length > 0 && isOptions(last) ? last : undefined;
  const sources = options ? given.slice(0, -1) : given;
  const { concurrency = Infinity, signal } = options ?? {};
  checkLimit('concurrency', concurrency, 1);
  checkSignal(signal);
  checkSpread(sources);
  const streams = sources.map((source, index) => keep(`sources[${index}]`, source as Source<unknown>));
  return new MergeFeed(streams, concurrency, signal);
}

/** A list of streams is a stream, too, of streams, and no message is one. */
function checkSpread([first, ...more]: readonly unknown[]): void {
  if (more.length > 0 || !Array.isArray(first) || !first.some(isRead)) return;
  throw expected('sources', 'streams', first, ', a list of streams: give `merge(...sources)`');
}

/** Whether it is read, and can be no message: lists and bytes might be. */
function isRead(value: unknown): boolean {
  return isStream(value) && (!(Symbol.iterator in value) || 'next' in value);
}

const names = ['concurrency', 'signal'] as const;

/**
 * A plain object that is no stream is meant for options, and so is another one that has one of them, such as a
 * `call`. A promise of a stream is neither.
 */
function isOptions(value: unknown): value is MergeOptions {
  if (typeof value !== 'object' || value === null || isStream(value)) return false;
  const plain = isPlain(value);
  if (plain) checkOptions<MergeOptions>(value, names);
  return plain || names.some(name => name in value);
}

/** One source being read. */
class Lane<T> {
  private readonly reader: Reader<T>;
  private pulling = false;

  constructor(
    stream: Source<T>,
    private readonly merged: MergeFeed<T>,
  ) {
    this.reader = iterate('source', stream);
  }

  pull(): void {
    this.pulling = true;
    this.reader.read().then(this.step, this.failed);
  }

  close(): Promise<unknown> {
    return this.reader.leave();
  }

  get stuck(): boolean {
    return this.pulling || this.reader.stuck;
  }

  private readonly step = apart<T>(
    value => {
      this.pulling = false;
      this.merged.laneYielded(this, value);
    },
    failure => this.over(failure),
  );

  private readonly failed = (error: unknown): void => this.over({ error });

  private over(failure?: Failure): void {
    this.pulling = false;
    if (this.merged.laneEnded(this, failure)) watchLeft(this.reader.ended());
  }
}

class MergeFeed<T> extends Feed<T> {
  private readonly unopened: Source<T>[];
  private readonly lanes = new Set<Lane<T>>();
  /** Lanes that were left before their end. */
  private closing: Lane<T>[] = [];
  private closed: Promise<void> | undefined;
  private readonly ready = new Fifo<{ lane: Lane<T>; value: T }>();

  constructor(
    streams: readonly Source<T>[],
    private readonly concurrency: number,
    signal: AbortSignal | undefined,
  ) {
    super();
    this.unopened = [...streams];
    this.follow(signal);
  }

  laneYielded(lane: Lane<T>, value: T): void {
    if (!this.open) return;
    if (this.hand(value)) lane.pull();
    else this.ready.push({ lane, value });
  }

  /** Answers whether that lane was read from until then. */
  laneEnded(lane: Lane<T>, failure?: Failure): boolean {
    const wasRead = this.lanes.delete(lane);
    if (failure) this.fail(failure);
    else if (this.open) this.fill();
    return wasRead;
  }

  override get stuck(): boolean {
    return this.closing.some(lane => lane.stuck);
  }

  protected override take(): T | typeof NONE {
    if (this.ready.size === 0) return NONE;
    const { lane, value } = this.ready.shift();
    if (this.open) lane.pull();
    return value;
  }

  protected override wanted(): void {
    this.fill();
  }

  protected override released(): Promise<void> {
    this.ready.clear();
    this.letGo();
    return this.closed as Promise<void>;
  }

  /** Opens as many as may be open. */
  private fill(): void {
    while (this.open && this.lanes.size < this.concurrency && this.unopened.length > 0) {
      try {
        const lane = new Lane(this.unopened.shift() as Source<T>, this);
        this.lanes.add(lane);
        lane.pull();
      } catch (error) {
        this.fail({ error });
      }
    }
    if (this.lanes.size === 0) this.finish();
  }

  private fail(failure: Failure): void {
    this.finish(failure);
    this.letGo();
  }

  /** The first time, leaves what is open, and what was to be opened. */
  private letGo(): void {
    if (this.closed) return;
    this.closing = [...this.lanes];
    this.lanes.clear();
    const releasing = this.unopened.splice(0).map(release);
    this.closed = finished([...this.closing.map(lane => lane.close()), ...releasing]);
    forget(this.closed);
  }
}
