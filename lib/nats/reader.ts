import type { ConsumerInfo, ConsumerMessages, JsMsg, StreamInfo } from '@nats-io/jetstream';
import { after, type Timer } from '../timers.ts';
import { BrokenError, patiently, SilentError } from './failure.ts';
import type { Nats } from './nats.ts';
import { oddityAt, type Position } from './position.ts';
import { Sizes } from './sizes.ts';
import { StoredMessage } from './stored.ts';

/** What a reader tells. */
export interface ReaderTo {
  /** Each message once, in order. Must not throw. */
  message(message: JsMsg, stored: StoredMessage): void;
  /** Nothing that is read here is stored up to there. */
  passed(to: Position): void;
  /** What was to be read next is not there any more. Answers where to go on. */
  lost(why: string, info: StreamInfo): Position;
  live(): void;
  away(why: unknown): void;
}

/** How often what NATS says is compared with what was read, in milliseconds. */
const CHECK_MS = 5000;
const FIRST_CHECK_MS = 400;
/** How long NATS may take to answer a reader that begins, the first time, in milliseconds; then twice that. */
const ANSWER_MS = 500;
const HEARTBEAT_MS = 1000;
/**
 * How many messages NATS may send before it is asked for more, and how many bytes they may have together: NATS gives
 * up a connection on which more than 64 MB wait.
 */
const MAX_MESSAGES = 4096;
const MAX_BYTES = 8 << 20;
/** How long a connection may be silent that a ping was sent on, in milliseconds. */
const PING_MS = 750;
const MAX_PAUSE_MS = 250;
/** What a consumer says of itself that is no more. */
const ODD: ReadonlySet<string> = new Set([
  ...['heartbeats_missed', 'no_responders', 'consumer_deleted', 'consumer_not_found', 'stream_not_found'],
]);

/**
 * Reads a stream from a cursor of its own, through a plain consumer of NATS that is made anew from there
 * whenever something is odd: it was deleted, NATS was restarted, the connection was cut, a message is
 * missing. So nothing depends on what NATS remembers of its readers.
 */
export class Reader {
  /** Messages that are stored and were not read yet, when the last one came. */
  pending = 0;
  private consumer: ConsumerInfo | undefined;
  private messages: ConsumerMessages | undefined;
  private checking: Timer | undefined;
  /** Goes up with everything that makes what is under way obsolete. */
  private turn = 0;
  private failures = 0;
  private closed = false;
  private connected = true;
  private pinging = false;
  private delivered = 0;
  private readonly sizes: Sizes;

  constructor(
    private readonly nats: Nats,
    private readonly to: ReaderTo,
    /** The stream that is read: one with the same name that was made later is another. */
    private known: StreamInfo,
    private cursor: Position,
    /** Whether a number that is not there any more means a loss. */
    private readonly strict: boolean,
  ) {
    this.sizes = new Sizes(known.state);
    // A new connection is a reason to begin anew at once, not when a heartbeat is missed.
    nats.listener = {
      broke: why => {
        this.connected = false;
        this.away(new BrokenError(why));
      },
      back: () => {
        this.connected = true;
        this.anew();
      },
    };
  }

  /** Begins to read. Rejects when that fails, and goes on failing, or is not allowed. */
  async start(): Promise<void> {
    await patiently(async () => {
      if (this.closed) return;
      await this.attach(this.turn).catch(error => {
        this.failures += 1;
        // It may have got so far as to read.
        this.detach();
        throw error;
      });
    });
    if (this.consumer) await this.nats.mayCheck(this.consumer, this.cursor.sequence);
  }

  close(): void {
    this.closed = true;
    this.detach();
  }

  private away(why: unknown): void {
    if (this.closed) return;
    this.detach();
    this.to.away(why);
  }

  /** Drops what is under way and begins again from the cursor. */
  private anew(): void {
    if (this.closed) return;
    this.detach();
    const { turn } = this;
    this.attach(turn).catch(error => this.retry(turn, error));
  }

  private retry(turn: number, error: unknown): void {
    if (turn !== this.turn || this.closed) return;
    this.to.away(error);
    void this.ping();
    const ms = Math.min(MAX_PAUSE_MS, 10 * 2 ** this.failures++);
    this.checking = after(ms, () => this.anew());
  }

  private detach(): void {
    this.turn += 1;
    this.checking?.stop();
    this.messages?.stop();
    if (this.consumer) void this.nats.forget(this.consumer);
    this.messages = undefined;
    this.consumer = undefined;
  }

  private async attach(turn: number): Promise<void> {
    const { nats } = this;
    const making = nats.consumer(this.cursor.sequence);
    const abandon = (error: unknown) => nats.abandon(making, error);
    const consumer = await this.within(nats.answer(making)).catch(abandon);
    // Asked once the consumer is there, so that what is trimmed or made anew in between is seen.
    const odd = await this.within(this.oddity()).catch(abandon);
    if (turn !== this.turn || this.closed) return void nats.forget(consumer);
    if (odd !== undefined) {
      void nats.forget(consumer);
      this.known = odd.info;
      this.cursor = this.to.lost(odd.why, odd.info);
      return this.attach(turn);
    }
    this.consumer = consumer;
    this.delivered = 0;
    this.pending = consumer.num_pending;
    const messages = await nats.reading(consumer).consume({
      callback: message => this.take(turn, message),
      max_messages: this.sizes.fitting(MAX_BYTES, MAX_MESSAGES),
      expires: 5000,
      idle_heartbeat: HEARTBEAT_MS,
      abort_on_missing_resource: true,
    });
    this.messages = messages;
    if (turn !== this.turn || this.closed) return messages.stop();
    await this.within(nats.heard(consumer.name));
    if (turn !== this.turn) return;
    this.failures = 0;
    void messages.closed().then(() => turn === this.turn && this.anew());
    void this.hearts(turn, messages);
    this.to.live();
    // Soon the first time: of a consumer that was deleted while it was asked nothing is heard.
    this.checkLater(turn, FIRST_CHECK_MS);
  }

  /** A request that is made while a stream is deleted might have no answer. */
  private within<A>(asked: Promise<A>): Promise<A> {
    return new Promise((resolve, reject) => {
      const late = () => reject(new SilentError());
      const timer = after(ANSWER_MS * 2 ** Math.min(this.failures, 4), late);
      asked.then(resolve, reject).finally(() => timer.stop());
    });
  }

  private async hearts(turn: number, messages: ConsumerMessages): Promise<void> {
    for await (const { type } of messages.status()) {
      if (turn !== this.turn) return;
      // `consume` itself would go on asking a consumer that is not there.
      if (!ODD.has(type)) continue;
      this.anew();
      return type === 'heartbeats_missed' ? this.ping() : undefined;
    }
  }

  /** A connection may be open on this side only: NATS is silent, and TCP does not say why. */
  private async ping(): Promise<void> {
    if (this.pinging || !this.connected) return;
    this.pinging = true;
    const { nc } = this.nats;
    const silent = after(PING_MS, () => {
      if (!this.closed && this.connected) void nc.reconnect().catch(() => {});
    });
    await nc.rtt().catch(() => {});
    silent.stop();
    this.pinging = false;
  }

  private take(turn: number, message: JsMsg): void {
    if (turn !== this.turn) return;
    const stored = new StoredMessage(message);
    // One was lost on the way here.
    if (stored.delivery !== this.delivered + 1) return this.anew();
    this.delivered += 1;
    this.pending = stored.pending;
    this.sizes.saw(stored.data.length);
    this.cursor = stored;
    this.to.message(message, stored);
  }

  /** What is wrong with the stream, for a reader at the cursor. */
  private async oddity(): Promise<{ why: string; info: StreamInfo } | undefined> {
    const { cursor, known, nats } = this;
    const [info, at] = await Promise.all([
      nats.jsm.streams.info(nats.stream),
      cursor.ms === undefined ? null : nats.jsm.streams.getMessage(nats.stream, { seq: cursor.sequence }),
    ]);
    const why =
      info.created !== known.created
        ? 'the stream was made anew'
        : oddityAt(cursor, info.state, at?.time.getTime(), this.strict);
    return why === undefined ? undefined : { why, info };
  }

  private checkLater(turn: number, ms: number = CHECK_MS): void {
    const failed = () => turn === this.turn && this.anew();
    this.checking = after(ms, () => void this.check(turn).catch(failed)).unref();
  }

  /**
   * Compares while all is quiet. Of a stream of which little is read, the cursor stays behind; when nothing
   * waits for this consumer, there was nothing to read up to what was the last number before it was asked.
   */
  private async check(turn: number): Promise<void> {
    const { nats, delivered } = this;
    const info = await nats.jsm.streams.info(nats.stream);
    const consumer = await nats.jsm.consumers.info(nats.stream, this.consumer?.name ?? '');
    if (turn !== this.turn) return;
    const { last_seq: last } = info.state;
    if (info.created !== this.known.created || last < this.cursor.sequence) return this.anew();
    const caughtUp = consumer.num_pending === 0 && consumer.delivered.consumer_seq === delivered;
    if (caughtUp && delivered === this.delivered && last > this.cursor.sequence) {
      this.cursor = { sequence: last, ms: undefined };
      this.to.passed(this.cursor);
    }
    this.checkLater(turn);
  }
}
