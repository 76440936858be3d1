import { isThenable } from '../check.ts';
import { forget } from '../hooks.ts';
import { AGAIN, type Guest, guest, HandingOver, type Taker } from '../streams/hand-over.ts';
import { MAX_AT_ONCE, turn } from '../streams/turns.ts';
import type { Items } from '../types.ts';
import { patiently, watchLeft } from './leaving.ts';

/** What `take` answers when nothing is there. */
export const NONE: unique symbol = Symbol('none');

/** What `take` answers when it looks further only after everybody else had a turn; it calls `serve` then. */
export const LATER: unique symbol = Symbol('later');

/** Why a feed ends early; a box, because anything can be thrown, `undefined` too. */
export interface Failure {
  readonly error: unknown;
}

interface Waiter<T> {
  resolve(result: IteratorResult<T, undefined>): void;
  reject(error: unknown): void;
}

/** The phases of a feed: they only go up. `CLOSING`: what is stored is still given out. */
const OPEN = 0;
const CLOSING = 1;
const ENDED = 2;

/**
 * An iterator that can always be woken: the consumer's half of everything in this folder. A consumer that
 * waits in `next()` hears at once of an item, of the end, of `return()`, and of the signal.
 */
export abstract class Feed<T> extends HandingOver<T> implements Items<T>, Guest {
  static {
    Object.defineProperty(Feed.prototype, guest, { value: true });
  }

  private phase: typeof OPEN | typeof CLOSING | typeof ENDED = OPEN;
  private readonly waiting: Waiter<T>[] = [];
  /** Set while the first who waits takes items as they come, and goes on waiting. */
  private taker: Taker<T> | undefined;
  private failure: Failure | undefined;
  private unfollow: (() => void) | undefined;
  /** Whoever reads this watches what it leaves. */
  private adopted = false;
  /** What `released` answered. */
  private left: unknown;
  /** Items given since somebody last had to wait. */
  private atOnce = 0;

  /** The next item stored, or `NONE`. */
  protected abstract take(): T | typeof NONE | typeof LATER;

  /** Somebody began to wait: get something, if that is what this feed does. */
  protected wanted(): void {}

  /** The end, once: lets go of whatever is held. `return()` waits for what it answers. */
  protected released(): unknown {
    return undefined;
  }

  protected get open(): boolean {
    return this.phase === OPEN;
  }

  protected get ended(): boolean {
    return this.phase === ENDED;
  }

  protected get awaited(): boolean {
    return this.waiting.length > 0;
  }

  /** There might be something for those who wait. */
  protected get searching(): boolean {
    return false;
  }

  get stuck(): boolean {
    return false;
  }

  adopt(): void {
    this.adopted = true;
  }

  abort(reason: unknown): void {
    this.stop({ error: reason });
  }

  leave(): unknown {
    this.stop();
    return this.left;
  }

  /** Ends the feed when the signal aborts. Called at the end of a constructor. */
  protected follow(signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    const abort = () => this.abort(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort);
    this.unfollow = () => signal.removeEventListener('abort', abort);
  }

  /** Gives an item to who waits; `false` when nobody does. */
  protected hand(value: T): boolean {
    const waiter = this.waiting.shift();
    this.taker = undefined;
    waiter?.resolve({ done: false, value });
    return waiter !== undefined;
  }

  /** Like `hand`, and at once where the one who waits can take it so; what is not taken has to be stored. */
  protected pass(value: T): boolean {
    const { taker } = this;
    if (taker === undefined) return this.hand(value);
    if (taker.take(value)) return true;
    this.taker = undefined;
    this.waiting.shift()?.resolve(AGAIN);
    return false;
  }

  /** Ends the feed once everything stored is given out. */
  protected finish(failure?: Failure): void {
    if (this.phase !== OPEN) return;
    this.phase = CLOSING;
    this.failure = failure;
    if (this.waiting.length > 0 && !this.searching) this.end();
  }

  /** Has the feed fail at its end, unless it does so already. */
  protected spoil(failure: Failure): void {
    if (this.phase === CLOSING) this.failure ??= failure;
    else this.finish(failure);
  }

  /** Ends the feed now; what is stored is let go. */
  protected stop(failure?: Failure): void {
    if (this.phase === ENDED) return;
    this.failure = failure;
    this.end();
  }

  /** Looks again for those who wait. */
  protected serve(): void {
    while (this.waiting.length > 0) {
      const value = this.take();
      if (value === LATER || this.phase === ENDED) return;
      if (value !== NONE) this.hand(value);
      else if (this.phase === CLOSING) this.end();
      else return;
    }
  }

  /** Tells everybody: the error to the first who waits, or to the next who asks; the others that it is over. */
  private end(): void {
    this.phase = ENDED;
    this.taker = undefined;
    this.unfollow?.();
    this.unfollow = undefined;
    for (const waiter of this.waiting.splice(0)) {
      const failure = this.failure;
      this.failure = undefined;
      if (failure) waiter.reject(failure.error);
      else waiter.resolve({ done: true, value: undefined });
    }
    this.left = this.parting();
    if (this.adopted) forget(this.left);
    else watchLeft(this.left);
  }

  /** What throws is a rejection: who ended it hears of that, and neither a signal nor an emitter does. */
  private parting(): unknown {
    try {
      return this.released();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  next(): Promise<IteratorResult<T, undefined>> {
    try {
      const step = this.due();
      if (step === undefined) return this.park();
      if (++this.atOnce < MAX_AT_ONCE) return Promise.resolve(step);
      this.atOnce = 0;
      return turn(step);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  override handTo(taker: Taker<T>): IteratorResult<T, undefined> | Promise<IteratorResult<T, undefined>> {
    const step = this.due();
    if (step) return step;
    if (this.waiting.length === 0) this.taker = taker;
    return this.park();
  }

  /** What is there, or the end; nothing when it has to be waited for. */
  private due(): IteratorResult<T, undefined> | undefined {
    if (this.phase !== ENDED && this.waiting.length === 0) {
      const value = this.take();
      if (value === LATER) return undefined;
      if (value !== NONE) return { done: false, value };
      if (this.phase === CLOSING) this.end();
    }
    if (this.phase !== ENDED) return undefined;
    const failure = this.failure;
    this.failure = undefined;
    if (failure) throw failure.error;
    return { done: true, value: undefined };
  }

  private park(): Promise<IteratorResult<T, undefined>> {
    this.atOnce = 0;
    const parked = new Promise<IteratorResult<T, undefined>>((resolve, reject) => {
      this.waiting.push({ resolve, reject });
    });
    this.wanted();
    return parked;
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    const over = this.ended;
    const left = this.leave();
    // Who ends it hears of what fails then.
    if (isThenable(left) && !over) await patiently(left, () => this.stuck);
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}
