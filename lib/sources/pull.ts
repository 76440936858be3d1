import { Feed, NONE } from './feed.ts';
import { read } from './iterate.ts';

export interface PullOptions {
  readonly signal?: AbortSignal | undefined;
  /** Wakes whatever the iterator waits for; called once, however it ends, before its `return()`. */
  readonly stop?: () => unknown;
}

/** Any iterator, made wakeable: at most one `next()` of it at a time, and only when somebody waits. */
export class PullFeed<T> extends Feed<T> {
  private pulling = false;
  private exhausted = false;

  constructor(
    private readonly iterator: AsyncIterator<T>,
    private readonly options: PullOptions,
  ) {
    super();
    this.follow(options.signal);
  }

  protected override take(): typeof NONE {
    return NONE;
  }

  protected override wanted(): void {
    if (this.pulling) return;
    this.pulling = true;
    read(this.iterator).then(this.step, this.failed);
  }

  protected override async released(): Promise<void> {
    await Promise.all([this.options.stop?.(), this.exhausted ? undefined : this.iterator.return?.()]);
  }

  private readonly step = (step: IteratorResult<T>): void => {
    this.pulling = false;
    if (step.done) {
      this.exhausted = true;
      this.finish();
    } else if (this.hand(step.value) && this.awaited) this.wanted();
  };

  private readonly failed = (error: unknown): void => {
    this.exhausted = true;
    this.stop({ error });
  };
}
