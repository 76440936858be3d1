import { type Failure, Feed, NONE } from './feed.ts';
import { apart, Reader } from './iterate.ts';
import { finished } from './leaving.ts';

export interface PullOptions {
  readonly signal?: AbortSignal | undefined;
  /** Wakes whatever the iterator waits for; called once, however it ends, before its `return()`. */
  readonly stop?: () => unknown;
  /** Whether something else than the iterator has not answered. */
  readonly stuck?: () => boolean;
}

/** Any iterator, made wakeable: at most one `next()` of it at a time, and only when somebody waits. */
export class PullFeed<T> extends Feed<T> {
  private pulling = false;
  private exhausted = false;
  private readonly reader: Reader<T>;

  constructor(
    iterator: AsyncIterator<T> | Reader<T>,
    private readonly options: PullOptions,
  ) {
    super();
    this.reader = iterator instanceof Reader ? iterator : new Reader(iterator);
    this.follow(options.signal);
  }

  protected override take(): typeof NONE {
    return NONE;
  }

  protected override wanted(): void {
    if (this.pulling) return;
    this.pulling = true;
    this.reader.read().then(this.step, this.failed);
  }

  override get stuck(): boolean {
    return this.pulling || this.reader.stuck || (this.options.stuck?.() ?? false);
  }

  protected override async released(): Promise<void> {
    const stopped = this.options.stop?.();
    await finished([stopped, this.exhausted ? this.reader.ended() : this.reader.leave()]);
  }

  private readonly step = apart<T>(
    value => {
      this.pulling = false;
      if (this.hand(value) && this.awaited) this.wanted();
    },
    failure => this.over(failure),
  );

  private readonly failed = (error: unknown): void => this.over({ error });

  private over(failure?: Failure): void {
    this.pulling = false;
    this.exhausted = true;
    if (failure) this.stop(failure);
    else this.finish();
  }
}
