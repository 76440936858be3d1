import { Metadata, status } from '@grpc/grpc-js';
import type { JsMsg, StreamInfo } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { checkFunction, checkOptions, checkSignal, expected } from '../sources/check.ts';
import type { Failure } from '../sources/feed.ts';
import type { TopicSubscription } from '../sources/subscription.ts';
import { checkPolicy, type TopicSubscribeOptions } from '../sources/topic.ts';
import { StatusError } from '../status/status.ts';
import { after as afterMs, pause as pauseMs, type Timer } from '../timers.ts';
import { CatchUp, type Past, Resumed } from './catch-up.ts';
import { failureOf } from './failure.ts';
import { Nats } from './nats.ts';
import { type JetStreamTopicOptions, publishSettingsOf, type Settings, settingsOf } from './options.ts';
import { type Entry, type Page, Pages } from './pages.ts';
import { isSameTime, outOfRange, type Position, positionOf } from './position.ts';
import { checkPayload, publish } from './publisher.ts';
import { Reader, type ReaderTo } from './reader.ts';
import { itemOf, StoredMessage } from './stored.ts';
import { openStream } from './stream.ts';
import type { JetStreamTopic, PublishOptions } from './types.ts';
import { Window } from './window.ts';

/**
 * A `topic()` of any number of processes: what is published is stored in a stream of NATS JetStream, reaches the
 * subscribers of every process once and in order, and who loses one process goes on at another. The connection
 * stays the user's: give it `maxReconnectAttempts: -1`, or NATS is given up after 20 seconds.
 *
 * @example
 * const nc = await connect({ servers: process.env.NATS_URL, maxReconnectAttempts: -1 });
 * const updates = await jetstreamTopic<Update>(nc, { stream: 'updates', subject: 'updates', create: {} });
 * await updates.publish({ text: 'hello' });
 * // in a source; `after` comes from the client
 * return updates.subscribe({ signal: call.signal, after: request.after });
 * @throws TypeError when an option is out of its range, or a subject not of the stream; StatusError when the
 *   stream cannot be opened, or made.
 */
export async function jetstreamTopic<T>(
  nc: NatsConnection,
  options: JetStreamTopicOptions<T>,
): Promise<JetStreamTopic<T>> {
  if (typeof (nc as Partial<NatsConnection> | null)?.status !== 'function')
    throw expected('nc', 'a connection of @nats-io/transport-node', nc);
  const settings = settingsOf(options);
  const nats = await Nats.on(nc, settings.stream, settings.subjects);
  try {
    const opened = new OpenTopic<T>(nats, settings, await openStream(nats, settings));
    await opened.start();
    return opened;
  } catch (error) {
    await nats.close();
    throw error instanceof TypeError ? error : failureOf(error, `cannot read stream \`${settings.stream}\``);
  }
}

/** How often in a row a catch-up may fail while NATS is there. */
const MAX_FAILURES = 20;
/** Between which times those come back who are sent away, so that not all come at once, in milliseconds. */
const BACK_MS = [500, 3000] as const;

class OpenTopic<T> implements JetStreamTopic<T>, ReaderTo, Past<T> {
  readonly catchUps: Set<CatchUp<T>> = new Set();
  skipped = 0;
  state: 'live' | 'away' | 'closed' = 'away';
  private readonly window: Window<T>;
  private readonly pages: Pages<T>;
  private readonly reader: Reader;
  private readonly strict: boolean;
  /** Set while NATS is away for too long: what those hear who come now. */
  private gone: StatusError | undefined;
  private giveUp: Timer | undefined;
  private waiting: (() => void)[] = [];

  constructor(
    private readonly nats: Nats,
    private readonly settings: Settings<T>,
    private info: StreamInfo,
  ) {
    const { topic, maxCatchUps, gaps } = settings;
    const { first_seq: first, last_seq: last } = info.state;
    this.strict = (gaps ?? (info.config.max_msgs_per_subject > 0 ? 'expected' : 'lost')) === 'lost';
    const from = { sequence: Math.max(0, first - 1, last - topic.history), ms: undefined };
    this.window = new Window<T>(topic, from);
    this.pages = new Pages<T>(nats, maxCatchUps, message => this.entryOf(message));
    this.reader = new Reader(nats, this, info, from, this.strict);
    void nats.nc.closed().then(() => this.disconnected());
  }

  /** Reads what this process keeps, so that nobody who subscribes gets it as news. */
  async start(): Promise<void> {
    const { last_seq: last } = this.info.state;
    await this.reader.start().catch(async error => {
      await this.close();
      throw error;
    });
    while (this.last < last && this.reader.pending > 0) await this.moved();
  }

  get subscribers(): number {
    return this.window.subscribers + this.catchUps.size;
  }

  get last(): number {
    return this.window.last.sequence;
  }

  get behind(): number {
    return this.reader.pending;
  }

  get catchingUp(): number {
    return this.catchUps.size;
  }

  async publish(item: T, options: PublishOptions = {}): Promise<number> {
    const { id, subject = this.settings.subject, timeoutMs } = publishSettingsOf(options);
    const payload = checkPayload(this.settings.encode(item));
    if (this.state === 'closed') throw new StatusError(status.UNAVAILABLE, 'the topic is closed');
    return publish(this.nats, subject, payload, { id, timeoutMs });
  }

  subscribe(options: TopicSubscribeOptions<T> = {}): TopicSubscription<T> {
    checkOptions(options, ['signal', 'after', 'filter', 'capacity', 'overflow']);
    const { topic } = this.settings;
    const { signal, after, filter, capacity = topic.capacity, overflow = topic.overflow } = options;
    checkPolicy(capacity, overflow, topic.key);
    checkFunction('filter', filter);
    checkSignal(signal);
    const own = { capacity, overflow, ...(signal && { signal }), ...(filter && { filter }) };
    if (this.gone) throw this.gone;
    if (after === undefined || after === null || after === '' || this.state === 'closed')
      return this.window.subscribe(own);
    const from = positionOf(after);
    if (this.has(from)) return this.window.subscribe(own, from.sequence);
    return new Resumed(new CatchUp<T>(this, from, own));
  }

  async close(): Promise<void> {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.giveUp?.stop();
    this.reader.close();
    this.window.close();
    for (const catchUp of this.catchUps) catchUp.complete();
    this.wake();
    await this.nats.close();
  }

  /** Whether one can go on from there in memory. */
  private has({ sequence, ms }: Position): boolean {
    if (!this.window.covers(sequence)) return false;
    if (ms === undefined) return true;
    const time = this.window.timeOf(sequence);
    if (time !== undefined && !isSameTime(time, ms)) throw anotherStream();
    return time !== undefined;
  }

  // What the reader tells.

  message(message: JsMsg): Position {
    const stored = new StoredMessage(message);
    try {
      this.window.add(itemOf(this.settings.decode, message, stored), stored);
    } catch (error) {
      const poison = this.poisonous(stored, error);
      if (poison === undefined) this.window.pass(stored);
      else this.window.restart(poison, stored);
    }
    this.wake();
    return stored;
  }

  passed(to: Position): void {
    this.window.pass(to);
    this.wake();
  }

  lost(why: string, info: StreamInfo): Position {
    const error = outOfRange(why);
    const { created, state } = info;
    // One that was trimmed goes on where it begins; another one with what is published from now on.
    const trimmed = created === this.info.created && state.last_seq >= this.last;
    const from = { sequence: trimmed ? state.first_seq - 1 : state.last_seq, ms: undefined };
    this.info = info;
    this.pages.clear();
    this.window.restart(error, from);
    for (const catchUp of this.catchUps) catchUp.complete(error);
    this.settings.onEvent({ type: 'lost', error });
    this.wake();
    return from;
  }

  live(): void {
    if (this.state !== 'away') return;
    this.state = 'live';
    this.gone = undefined;
    this.giveUp?.stop();
    this.giveUp = undefined;
    this.settings.onEvent({ type: 'live' });
  }

  away(why: unknown): void {
    if (this.state === 'closed') return;
    if (this.state === 'live') this.settings.onEvent({ type: 'away', error: why });
    this.state = 'away';
    this.giveUp ??= afterMs(this.settings.awayMs, () => this.end(why)).unref();
  }

  /** Ends those who wait; what is kept stays for when NATS is back. */
  private end(why: unknown): void {
    this.gone = new StatusError(status.UNAVAILABLE, 'the stream is away', {
      cause: why,
      metadata: backLater(),
    });
    this.window.end(this.gone);
    for (const catchUp of this.catchUps) catchUp.complete(this.gone);
    this.wake();
  }

  private disconnected(): void {
    if (this.state === 'closed') return;
    this.away(new Error('the connection to NATS is closed'));
    this.end(new Error('the connection to NATS is closed'));
    void this.close();
  }

  // What a catch-up asks.

  get reached(): number {
    return this.last;
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

  async check({ sequence, ms }: Position): Promise<number> {
    const sound = ({ created, state }: StreamInfo) =>
      created === this.info.created && sequence <= state.last_seq && sequence >= state.first_seq - 1;
    const { created, state } = await this.pages.info(sound);
    if (created !== this.info.created) throw outOfRange('the stream was made anew');
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
    return hopeless && this.state === 'live' ? { error: failed } : undefined;
  }

  async pause(failures: number): Promise<void> {
    await pauseMs(Math.min(250, 10 * 2 ** failures));
  }

  private entryOf(message: JsMsg): Entry<T> {
    const stored = new StoredMessage(message);
    const { sequence } = stored;
    try {
      return { sequence, item: itemOf(this.settings.decode, message, stored) };
    } catch (error) {
      const poison = this.poisonous(stored, error);
      return poison ? { sequence, error: poison } : { sequence };
    }
  }

  private wake(): void {
    if (this.waiting.length === 0) return;
    for (const go of this.waiting.splice(0)) go();
  }

  /** Counts a message that cannot be decoded; answers the error of its subscribers, unless it is skipped. */
  private poisonous({ sequence }: StoredMessage, cause: unknown): StatusError | undefined {
    const error = new StatusError(status.DATA_LOSS, `message ${sequence} cannot be decoded`, { cause });
    this.settings.onEvent({ type: 'poison', sequence, error });
    if (this.settings.poison === 'fail') return error;
    this.skipped += 1;
    return undefined;
  }
}

function anotherStream(): StatusError {
  return outOfRange('the position to resume after is of another stream');
}

function backLater(): Metadata {
  const [from, to] = BACK_MS;
  const metadata = new Metadata();
  metadata.set('grpc-retry-pushback-ms', String(Math.round(from + Math.random() * (to - from))));
  return metadata;
}
