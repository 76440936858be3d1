import type { Stream } from '../types.ts';
import { checkLimit, checkSignal, expected } from './check.ts';
import { type Failure, Feed, NONE } from './feed.ts';
import { Fifo } from '../fifo.ts';
import { hush, type Item, isStream, iterate, read, release } from './iterate.ts';

export interface MergeOptions {
  /**
   * How many sources are read at a time; the next one is opened when one has ended. Minimum 1.
   * @default Infinity
   */
  readonly concurrency?: number;
  /** Ends it at once; the consumer gets `signal.reason` thrown. */
  readonly signal?: AbortSignal;
}

type Merged<S> = AsyncIterableIterator<Item<S>, undefined> & AsyncDisposable;

/**
 * Joins sources into one, each item as it comes. Every source is read one item ahead. The first error stops
 * the others and comes after the items that came before it. The last argument may be options.
 *
 * @example
 * return merge(...shards.map(shard => shard.scan(query)), { concurrency: 4, signal: call.signal });
 * @throws TypeError when an argument is no stream, or an option out of its range.
 */
export function merge<S extends readonly Stream<unknown>[]>(
  ...sources: readonly [...S, MergeOptions]
): Merged<S[number]>;
export function merge<S extends readonly Stream<unknown>[]>(...sources: S): Merged<S[number]>;
export function merge(...given: readonly unknown[]): Merged<Stream<unknown>> {
  const last = given.at(-1);
  const options = given.length > 0 && isOptions(last) ? last : undefined;
  const sources = options ? given.slice(0, -1) : given;
  const { concurrency = Infinity, signal } = options ?? {};
  checkLimit('concurrency', concurrency, 1);
  checkSignal(signal);
  const streams = sources.map((source, index) => {
    if (!isStream(source)) throw expected(`sources[${index}]`, 'an AsyncIterable or another stream', source);
    hush(source);
    return source;
  });
  return new MergeFeed(streams, concurrency, signal);
}

const names = ['concurrency', 'signal'];

/** A promise of a stream, or a misspelt name, must not pass for options: nobody would miss what is not read. */
function isOptions(value: unknown): value is MergeOptions {
  if (typeof value !== 'object' || value === null || isStream(value)) return false;
  // A `call` will do, so other objects may have more.
  if (Object.getPrototypeOf(value) !== Object.prototype) return names.some(name => name in value);
  for (const name of Object.keys(value))
    if (!names.includes(name))
      throw new TypeError(`Expected an option of \`merge\`, got \`${name}\`; it has ${names.join(', ')}`);
  return true;
}

/** One source being read. */
class Lane<T> {
  private readonly iterator: AsyncIterator<T>;

  constructor(
    stream: Stream<T>,
    private readonly merged: MergeFeed<T>,
  ) {
    this.iterator = iterate('source', stream);
  }

  pull(): void {
    read(this.iterator).then(this.step, this.failed);
  }

  close(): unknown {
    return this.iterator.return?.();
  }

  private readonly step = (step: IteratorResult<T>): void => {
    if (step.done) this.merged.laneEnded(this);
    else this.merged.laneYielded(this, step.value);
  };

  private readonly failed = (error: unknown): void => this.merged.laneEnded(this, { error });
}

class MergeFeed<T> extends Feed<T> {
  private readonly unopened: Stream<T>[];
  private readonly lanes = new Set<Lane<T>>();
  private readonly ready = new Fifo<{ lane: Lane<T>; value: T }>();

  constructor(
    streams: readonly Stream<T>[],
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

  laneEnded(lane: Lane<T>, failure?: Failure): void {
    this.lanes.delete(lane);
    if (failure) this.fail(failure);
    else if (this.open) this.fill();
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

  protected override released(): Promise<unknown> {
    this.ready.clear();
    return this.letGo();
  }

  /** Opens as many as may be open. */
  private fill(): void {
    while (this.open && this.lanes.size < this.concurrency && this.unopened.length > 0) {
      try {
        const lane = new Lane(this.unopened.shift() as Stream<T>, this);
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
    this.letGo().catch(() => {});
  }

  private async letGo(): Promise<void> {
    const closing = [...this.lanes].map(async lane => lane.close());
    const releasing = this.unopened.splice(0).map(release);
    this.lanes.clear();
    await Promise.all([...closing, ...releasing]);
  }
}
