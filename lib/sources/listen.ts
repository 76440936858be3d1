import type { ObservableLike } from '../types.ts';
import { ChannelFeed, type Overflow } from './channel.ts';

/** What happens when an emitter or an observable, which cannot be slowed down, runs ahead of its consumer. */
export interface ListenOptions {
  /**
   * How many items are stored for a consumer that is busy. Minimum 1.
   * @default 1024
   */
  readonly capacity?: number;
  /**
   * What a full store does, as for a `channel`; `error` ends with `RESOURCE_EXHAUSTED`, after what is stored.
   * @default 'error'
   */
  readonly overflow?: Exclude<Overflow, 'wait'>;
  readonly signal?: AbortSignal;
}

/** A channel fed by listeners, which are removed as soon as nothing more can go in. */
export class Listening<T> extends ChannelFeed<T> {
  private detach: (() => void) | undefined;

  constructor({ capacity = 1024, overflow = 'error', signal }: ListenOptions) {
    super(capacity, overflow, undefined, signal);
  }

  /** Adds the listeners; `add` answers how to remove them, and may already be pushing. */
  attach(add: () => () => void): this {
    if (!this.open) return this;
    this.detach = add();
    if (!this.open) this.unlisten();
    return this;
  }

  override push(item: T): boolean {
    try {
      return super.push(item) as boolean;
    } catch (error) {
      this.fail(error);
      return false;
    }
  }

  override close(): void {
    super.close();
    this.unlisten();
  }

  override fail(error: unknown): void {
    super.fail(error);
    this.unlisten();
  }

  protected override released(): void {
    super.released();
    this.unlisten();
  }

  private unlisten(): void {
    const { detach } = this;
    this.detach = undefined;
    detach?.();
  }
}

/** Subscribes at once. */
export function fromObservable<T>(observable: ObservableLike<T>, options: ListenOptions = {}): Listening<T> {
  const feed = new Listening<T>(options);
  return feed.attach(() => {
    const subscription = observable.subscribe({
      next: item => void feed.push(item),
      error: error => feed.fail(error),
      complete: () => feed.close(),
    });
    // Some answer nothing, whatever the type says.
    return () => (typeof subscription === 'function' ? subscription() : subscription?.unsubscribe());
  });
}
