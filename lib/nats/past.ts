import { status } from '@grpc/grpc-js';
import type { StreamInfo } from '@nats-io/jetstream';
import type { Failure } from '../sources/feed.ts';
import type { TopicSubscription } from '../sources/subscription.ts';
import type { TopicSubscribeOptions } from '../sources/topic.ts';
import { StatusError } from '../status/status.ts';
import { pause } from '../timers.ts';
import type { CatchUp, Past } from './catch-up.ts';
import { failureOf } from './failure.ts';
import type { Page, Pages } from './pages.ts';
import { anotherStream, isSameTime, outOfRange, type Position } from './position.ts';
import type { Window } from './window.ts';

/** How often in a row a catch-up may fail while NATS is there. */
const MAX_FAILURES = 20;

/** What is stored of a topic, for those who come back, as far as this process has read. */
export class StoredPast<T> implements Past<T> {
  readonly catchUps: Set<CatchUp<T>> = new Set();
  private waiting: (() => void)[] = [];

  constructor(
    private readonly window: Window<T>,
    private readonly pages: Pages<T>,
    /** When the stream was made: one that is made anew has other numbers. */
    private created: string,
    /** Whether a message that is missing was lost. */
    private readonly strict: boolean,
    private readonly isLive: () => boolean,
  ) {}

  get reached(): number {
    return this.window.last.sequence;
  }

  covers(sequence: number): boolean {
    return this.window.covers(sequence);
  }

  join(after: number, options: TopicSubscribeOptions<T>): TopicSubscription<T> {
    return this.window.subscribe(options, after);
  }

  moved(): Promise<void> {
    return new Promise(go => this.waiting.push(go));
  }

  /** Lets those look again who wait for this process to read on. */
  wake(): void {
    if (this.waiting.length === 0) return;
    for (const go of this.waiting.splice(0)) go();
  }

  /** Ends all who catch up, after what they have read. */
  complete(failure?: Failure): void {
    for (const catchUp of this.catchUps) catchUp.complete(failure);
    this.wake();
  }

  /** Ends all who catch up, and forgets what was read: the stream has other messages now. */
  restart(failure: Failure, created: string): void {
    this.created = created;
    this.pages.clear();
    this.complete(failure);
  }

  async check({ sequence, ms }: Position): Promise<number> {
    const sound = ({ created, state }: StreamInfo) =>
      created === this.created && sequence <= state.last_seq && sequence >= state.first_seq - 1;
    const { created, state } = await this.pages.info(sound);
    if (created !== this.created) throw outOfRange('the stream was made anew');
    if (sequence > state.last_seq)
      throw outOfRange(`the stream ends at ${state.last_seq}, before ${sequence}`);
    if (this.strict && sequence < state.first_seq - 1)
      throw outOfRange(`the stream begins at ${state.first_seq}, which is beyond ${sequence + 1}`);
    if (ms === undefined) return state.last_seq;
    const time = await this.pages.timeOf(sequence);
    // When that message is gone, the stream's age has to do.
    if (!isSameTime(time ?? Math.max(ms, Date.parse(created)), ms)) throw anotherStream();
    return state.last_seq;
  }

  read(after: number): Promise<Page<T>> {
    return this.pages.read(after);
  }

  left(catchUp: CatchUp<T>): void {
    if (this.catchUps.delete(catchUp) && this.catchUps.size === 0) this.pages.clear();
  }

  async trimmed(sequence: number): Promise<boolean> {
    return this.strict && (await this.pages.info()).state.first_seq > sequence;
  }

  fatal(error: unknown, failures: number): Failure | undefined {
    if (error instanceof StatusError) return { error };
    const failed = failureOf(error, 'cannot read what was stored');
    const hopeless = failed.code === status.PERMISSION_DENIED || failures >= MAX_FAILURES;
    return hopeless && this.isLive() ? { error: failed } : undefined;
  }

  pause(failures: number): Promise<void> {
    return pause(Math.min(250, 10 * 2 ** failures));
  }
}
