import { after, type Timer } from '../timers.ts';
import type { Items, Source } from '../types.ts';
import { checkDuration, checkInteger, checkOptions, checkSignal } from './check.ts';
import { type Failure, Feed, NONE } from './feed.ts';
import { apart, iterate, type Reader } from './iterate.ts';

/** When a chunk is complete. */
export interface ChunkOptions {
  /** Most items in a chunk. Minimum 1. */
  readonly maxItems: number;
  /**
   * How many milliseconds an item may wait for others, while somebody waits for the chunk. Minimum 0.
   * @default Infinity
   */
  readonly maxDelayMs?: number;
  /** Ends it at once; the consumer gets `signal.reason` thrown. */
  readonly signal?: AbortSignal;
}

/**
 * Gathers items into arrays: full ones, or what there is when the first item has waited long enough. What is
 * left comes before the end, and before an error. Never yields an empty array, and reads only when asked.
 *
 * @example
 * for await (const rows of chunk(cursor, { maxItems: 100, maxDelayMs: 20 })) yield { rows };
 * @throws TypeError when an option is out of its range.
 */
export function chunk<T>(source: Source<T>, options: ChunkOptions): Items<T[]> {
  checkOptions(options, ['maxItems', 'maxDelayMs', 'signal']);
  const { maxItems, maxDelayMs = Infinity, signal } = options;
  checkInteger('maxItems', maxItems, 1);
  checkDuration('maxDelayMs', maxDelayMs);
  checkSignal(signal);
  return new ChunkFeed<T>(iterate('source', source), maxItems, maxDelayMs, signal);
}

class ChunkFeed<T> extends Feed<T[]> {
  private items: T[] = [];
  /** When the first of them came. */
  private since = 0;
  private timer: Timer | undefined;
  private reading = false;
  private exhausted = false;

  constructor(
    private readonly reader: Reader<T>,
    private readonly maxItems: number,
    private readonly maxDelayMs: number,
    signal: AbortSignal | undefined,
  ) {
    super();
    this.follow(signal);
  }

  protected override take(): T[] | typeof NONE {
    const complete = this.exhausted ? this.items.length > 0 : this.items.length >= this.maxItems;
    return complete ? this.flush() : NONE;
  }

  protected override wanted(): void {
    this.startTimer();
    if (this.reading) return;
    this.reading = true;
    this.reader.read().then(this.step, this.failed);
  }

  override get stuck(): boolean {
    return this.reading || this.reader.stuck;
  }

  protected override released(): unknown {
    this.flush();
    return this.exhausted ? this.reader.ended() : this.reader.leave();
  }

  private readonly step = apart<T>(
    value => {
      this.reading = false;
      if (!this.open) return;
      if (this.items.push(value) === 1) this.since = performance.now();
      if (this.items.length >= this.maxItems) this.handOver();
      if (this.awaited) this.wanted();
    },
    failure => this.over(failure),
  );

  private readonly failed = (error: unknown): void => this.over({ error });

  private over(failure?: Failure): void {
    this.reading = false;
    this.exhausted = true;
    if (this.items.length > 0) this.handOver();
    this.finish(failure);
  }

  private startTimer(): void {
    if (this.timer || this.items.length === 0 || this.maxDelayMs === Infinity) return;
    const left = this.since + this.maxDelayMs - performance.now();
    this.timer = after(Math.max(0, left), () => this.handOver());
  }

  /** Gives what there is to who waits; while nobody does, it stays. */
  private handOver(): void {
    if (this.awaited) this.hand(this.flush());
  }

  private flush(): T[] {
    this.timer?.stop();
    this.timer = undefined;
    const { items } = this;
    this.items = [];
    return items;
  }
}
