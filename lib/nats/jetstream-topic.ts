import { status } from '@grpc/grpc-js';
import type { JsMsg, StreamInfo } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { isMessage } from '../hooks.ts';
import { checkAfter, checkFunction, checkOptions, checkSignal, expected } from '../sources/check.ts';
import type { TopicSubscription } from '../sources/subscription.ts';
import { checkPolicy, type TopicSubscribeOptions } from '../sources/topic.ts';
import { StatusError } from '../status/status.ts';
import { after as afterMs, type Timer } from '../timers.ts';
import { CatchUp, Resumed } from './catch-up.ts';
import { Decoder } from './decoder.ts';
import { ClosedError, failureOf, isMissing, SilentError } from './failure.ts';
import { Gone } from './gone.ts';
import { Nats } from './nats.ts';
import { type JetStreamTopicOptions, publishSettingsOf, type Settings, settingsOf } from './options.ts';
import { Pages } from './pages.ts';
import { StoredPast } from './past.ts';
import { isUnset, outOfRange, type Position, positionOf } from './position.ts';
import { checkPayload } from './publisher.ts';
import { Reader, type ReaderTo } from './reader.ts';
import type { StoredMessage } from './stored.ts';
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
 * @throws TypeError when an option is out of its range, or a subject not of the stream; StatusError within seconds
 *   when the stream cannot be opened, made or read: UNAVAILABLE, PERMISSION_DENIED, FAILED_PRECONDITION when it is
 *   missing or of no use, RESOURCE_EXHAUSTED when it has as many readers as it may have.
 */
export async function jetstreamTopic<T>(
  nc: NatsConnection,
  options: JetStreamTopicOptions<T>,
): Promise<JetStreamTopic<T>> {
  if (typeof (nc as Partial<NatsConnection> | null)?.status !== 'function')
    throw expected('nc', 'a connection of @nats-io/transport-node', nc);
  const settings = settingsOf(options);
  const nats = await Nats.on(nc, settings);
  try {
    const opened = new OpenTopic<T>(nats, settings, await openStream(nats, settings));
    await opened.start();
    return opened;
  } catch (error) {
    await nats.close();
    throw error instanceof TypeError ? error : failureOf(error, `cannot read stream \`${settings.stream}\``);
  }
}

/** For how long nothing may come of what is read when a topic is opened, in milliseconds. */
const SILENT_MS = 2500;

class OpenTopic<T> implements JetStreamTopic<T>, ReaderTo {
  state: 'live' | 'away' | 'closed' = 'away';
  private readonly decoder: Decoder<T>;
  private readonly window: Window<T>;
  private readonly past: StoredPast<T>;
  private readonly reader: Reader;
  /** Set while NATS is away for too long: what those hear who come now. */
  private gone: Gone | undefined;
  /** Why NATS is away, as it was heard last. */
  private why: unknown;
  private giveUp: Timer | undefined;

  constructor(
    private readonly nats: Nats,
    private readonly settings: Settings<T>,
    private info: StreamInfo,
  ) {
    const { topic, maxCatchUps, gaps } = settings;
    const { first_seq: first, last_seq: last } = info.state;
    const strict = (gaps ?? (info.config.max_msgs_per_subject > 0 ? 'expected' : 'lost')) === 'lost';
    const from = { sequence: Math.max(0, first - 1, last - topic.history), ms: undefined };
    // None is the default of NATS.
    nats.publisher.windowMs = (info.config.duplicate_window || 120e9) / 1e6;
    this.decoder = new Decoder<T>(settings);
    this.window = new Window<T>(topic, from);
    const pages = new Pages<T>(
      nats,
      maxCatchUps,
      (message, stored) => this.decoder.entryOf(message, stored),
      info,
    );
    this.past = new StoredPast<T>(this.window, pages, info.created, strict, () => this.state === 'live');
    this.reader = new Reader(nats, this, info, from, strict);
    void nats.nc.closed().then(why => this.disconnected(why || undefined));
  }

  /** Reads what this process keeps, so that nobody who subscribes gets it as news; or rejects, and is closed. */
  async start(): Promise<void> {
    try {
      await this.reader.start();
      await this.readKept();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Rejects when NATS or the stream goes meanwhile, and does not come back soon. */
  private async readKept(): Promise<void> {
    const silent = afterMs(SILENT_MS, () => this.end(this.why ?? new SilentError()));
    while (!this.gone && !this.hasKept()) {
      const { last } = this;
      await this.past.moved();
      if (this.last > last) silent.again();
      if (isMissing(this.why)) this.end(this.why);
    }
    silent.stop();
    if (this.gone) throw this.gone.why;
  }

  private hasKept(): boolean {
    return this.state === 'live' && (this.last >= this.info.state.last_seq || this.reader.pending === 0);
  }

  get subscribers(): number {
    return this.window.subscribers + this.past.catchUps.size;
  }

  get last(): number {
    return this.window.last.sequence;
  }

  get behind(): number {
    return this.reader.pending;
  }

  get catchingUp(): number {
    return this.past.catchUps.size;
  }

  get skipped(): number {
    return this.decoder.skipped;
  }

  async publish(item: T, options: PublishOptions = {}): Promise<number> {
    const { id, subject = this.settings.subject, timeoutMs } = publishSettingsOf(options);
    if (!isMessage(item)) throw expected('item', 'a message', item);
    const payload = checkPayload(this.settings.encode(item));
    if (this.state === 'closed') throw new StatusError(status.UNAVAILABLE, 'the topic is closed');
    return this.nats.publisher.publish(subject, payload, { id, timeoutMs });
  }

  subscribe(options: TopicSubscribeOptions<T> = {}): TopicSubscription<T> {
    checkOptions(options, ['signal', 'after', 'filter', 'capacity', 'overflow']);
    const { topic } = this.settings;
    const { signal, after, filter, capacity = topic.capacity, overflow = topic.overflow } = options;
    checkPolicy(capacity, overflow, topic.key);
    checkFunction('filter', filter);
    checkSignal(signal);
    checkAfter(after);
    const own = { capacity, overflow, ...(signal && { signal }), ...(filter && { filter }) };
    if (this.gone) throw this.gone.error;
    if (after === undefined || after === null || after === '' || this.state === 'closed')
      return this.window.subscribe(own);
    const from = positionOf(after);
    if (isUnset(from, this.info)) return this.window.subscribe(own);
    if (this.window.has(from)) return this.window.subscribe(own, from.sequence);
    return new Resumed(new CatchUp<T>(this.past, from, own));
  }

  async close(): Promise<void> {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.giveUp?.stop();
    this.reader.close();
    this.window.close();
    this.past.complete();
    await this.nats.close();
  }

  // What the reader tells.

  message(message: JsMsg, stored: StoredMessage): void {
    const poison = this.decoder.decode(message, stored, item => this.window.add(item, stored));
    if (poison !== undefined) this.window.restart({ error: poison }, stored);
    else this.window.pass(stored);
    this.past.wake();
  }

  passed(to: Position): void {
    this.window.pass(to);
    this.past.wake();
  }

  lost(why: string, info: StreamInfo): Position {
    const error = outOfRange(why);
    const { created, state } = info;
    // One that was trimmed goes on where it begins; another one with what is published from now on.
    const trimmed = created === this.info.created && state.last_seq >= this.last;
    const from = { sequence: trimmed ? state.first_seq - 1 : state.last_seq, ms: undefined };
    this.info = info;
    this.window.restart({ error }, from);
    this.past.restart({ error }, created);
    this.settings.onEvent({ type: 'lost', error });
    return from;
  }

  live(): void {
    this.past.wake();
    if (this.state !== 'away') return;
    this.state = 'live';
    this.gone = undefined;
    this.why = undefined;
    this.giveUp?.stop();
    this.giveUp = undefined;
    this.settings.onEvent({ type: 'live' });
  }

  away(why: unknown): void {
    if (this.state === 'closed') return;
    if (this.state === 'live') this.settings.onEvent({ type: 'away', error: why });
    this.state = 'away';
    this.why = why;
    this.giveUp ??= afterMs(this.settings.awayMs, () => this.end(this.why)).unref();
    this.past.wake();
  }

  /** Ends those who wait; what is kept stays for when NATS is back. */
  private end(why: unknown): void {
    this.gone = new Gone(why);
    this.window.end(this.gone);
    this.past.complete(this.gone);
  }

  private disconnected(error: Error | undefined): void {
    if (this.state === 'closed') return;
    const why = new ClosedError(error && (this.nats.refusal ?? error));
    this.away(why);
    this.end(why);
    void this.close();
  }
}
