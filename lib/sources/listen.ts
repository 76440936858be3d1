import { failureOf } from '../hooks.ts';
import { Lead } from '../streams/lead.ts';
import { observe } from '../streams/observable.ts';
import type { ObservableLike } from '../types.ts';
import { ChannelFeed, type Overflow } from './channel.ts';

/** What happens when an emitter or an observable, which cannot be slowed down, runs ahead of its consumer. */
export interface ListenOptions {
  /**
   * How many items are stored for a consumer that is busy. Minimum 1. When left out, and `overflow` is `error`,
   * what is emitted in one turn of the event loop, before anybody could be served, does not count, up to 131,072.
   * @default 1024
   */
  readonly capacity?: number;
  /**
   * What a full store does, as for a `channel`; `error` ends with `RESOURCE_EXHAUSTED`, after what is stored.
   * The others drop what does not fit, also when nobody could have taken it: a list that is emitted at once is
   * cut to `capacity`.
   * @default 'error'
   */
  readonly overflow?: Exclude<Overflow, 'wait'>;
  /** Ends it at once; the consumer gets `signal.reason` thrown. */
  readonly signal?: AbortSignal;
}

const DEFAULT_CAPACITY = 1024;

/** A channel fed by listeners, which are removed as soon as nothing more can go in. */
export class Listening<T> extends ChannelFeed<T> {
  private detach: (() => unknown) | undefined;

  constructor({ capacity, overflow = 'error', signal }: ListenOptions) {
    // How far the emitter is ahead counts only when no capacity was given.
    const lead = capacity === undefined && overflow === 'error' ? new Lead(DEFAULT_CAPACITY) : undefined;
    super({ capacity: capacity ?? DEFAULT_CAPACITY, overflow, lead }, signal);
  }

  /** Adds the listeners; `add` answers how to remove them, and might push before that. */
  attach(add: () => () => unknown): this {
    if (!this.open) return this;
    this.detach = add();
    if (!this.open) this.over();
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
    this.over();
    super.close();
  }

  override fail(error: unknown): void {
    super.fail(error);
    this.over();
  }

  protected override released(): unknown {
    super.released();
    return this.unlisten();
  }

  /** As with a `finally`, what fails at the end is the end, unless it failed before; who emits is not told. */
  private over(): void {
    const failure = failureOf(() => this.unlisten());
    if (failure) this.spoil(failure);
  }

  private unlisten(): unknown {
    const { detach } = this;
    this.detach = undefined;
    return detach?.();
  }
}

/** Subscribes at once. */
export function fromObservable<T>(observable: ObservableLike<T>, options: ListenOptions = {}): Listening<T> {
  const feed = new Listening<T>(options);
  return feed.attach(() =>
    observe(observable, {
      get closed() {
        return !feed.writable;
      },
      next: item => void feed.push(item),
      error: error => feed.fail(error),
      complete: () => feed.close(),
    }),
  );
}
