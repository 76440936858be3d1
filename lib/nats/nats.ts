import { randomBytes } from 'node:crypto';
import {
  type Consumer,
  type ConsumerInfo,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { after } from '../timers.ts';
import { BrokenError, isDenied, isMissing, UntakenError } from './failure.ts';
import { Publisher } from './publisher.ts';
import { covers } from './subjects.ts';

type Statuses = AsyncIterable<{ type: string; error?: Error }> & { stop(): void };
/** What NATS says before it closes a connection. */
const REFUSED: ReadonlySet<string> = new Set(['AuthorizationError', 'UserAuthenticationExpiredError']);
type Denied = Error & { readonly subject: string };

/** What is read, and where JetStream is asked. */
interface Where {
  readonly stream: string;
  readonly subjects: readonly string[];
  readonly apiPrefix: string;
}

/** As random as the names that NATS gives, and as short: each message that is read has it. */
const NAME_BYTES = 6;
/** How long a request to JetStream may take, in milliseconds. */
const REQUEST_MS = 2000;
/** How long it may take to delete consumers at the end: a NATS that is away is not waited for. */
const LEAVING_MS = 1000;
/** When NATS lets go of a consumer that nobody reads any more: one whose process was killed. */
const INACTIVE_MS = 10_000;

/** One stream, and what of it is read, on a connection that belongs to the user. */
export class Nats {
  readonly publisher: Publisher;
  private readonly js: JetStreamClient;
  private readonly deleting: Set<Promise<unknown>> = new Set();
  /** Told when the connection breaks, and when there is a new one. */
  listener: { broke(why?: Error): void; back(): void } | undefined;
  private readonly statuses: Statuses;
  private readonly asking: Set<() => void> = new Set();
  /** What NATS did not allow last: it says so beside the request, which is never answered. */
  private denied: Denied | undefined;
  /** Why NATS closed the connection, until it is there again. */
  refusal: Error | undefined;

  private constructor(
    readonly nc: NatsConnection,
    readonly jsm: JetStreamManager,
    readonly stream: string,
    private readonly subjects: readonly string[],
    apiPrefix: string,
  ) {
    this.js = jetstream(nc, { timeout: REQUEST_MS, apiPrefix });
    // By default the prefix of inboxes that the connection was made with.
    this.publisher = new Publisher(
      nc,
      stream,
      subject => this.untaken(subject),
      jsm.getOptions().watcherPrefix,
    );
    this.statuses = nc.status() as Statuses;
    void this.watch();
    void nc.closed().then(() => this.broke());
  }

  static async on(nc: NatsConnection, { stream, subjects, apiPrefix }: Where): Promise<Nats> {
    const jsm = await jetstreamManager(nc, { timeout: REQUEST_MS, apiPrefix, checkAPI: false });
    return new Nats(nc, jsm, stream, subjects, apiPrefix);
  }

  /** Makes a consumer of what was stored after a number. It keeps nothing: the cursor is ours. */
  async consumer(after: number): Promise<ConsumerInfo> {
    const [subject] = this.subjects;
    const made = await this.jsm.consumers.add(this.stream, {
      name: randomBytes(NAME_BYTES).toString('base64url'),
      ack_policy: 'none',
      deliver_policy: 'by_start_sequence',
      opt_start_seq: after + 1,
      max_deliver: 1,
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: INACTIVE_MS * 1e6,
      // With a name and one subject NATS is asked on a subject that ends with both, so permissions can say who may read
      // what. An array uses an older API.
      ...(this.subjects.length === 1
        ? { filter_subject: subject as string }
        : { filter_subjects: [...this.subjects] }),
    });
    this.refusal = undefined;
    return made;
  }

  /** Asks once what is asked when something is odd: who may not would read until then, and never again. */
  async mayCheck({ name }: ConsumerInfo, sequence: number): Promise<void> {
    const { jsm, stream } = this;
    const asked = [
      this.answer<unknown>(jsm.streams.getMessage(stream, { seq: Math.max(1, sequence) })),
      this.answer<unknown>(jsm.consumers.info(stream, name)),
    ];
    for (const answer of await Promise.allSettled(asked))
      if (answer.status === 'rejected' && isDenied(answer.reason)) throw answer.reason;
  }

  /** Why the stream does not take a subject; nothing when it does, or does not answer. */
  private async untaken(subject: string): Promise<unknown> {
    try {
      const { subjects = [] } = (await this.answer(this.jsm.streams.info(this.stream))).config;
      return subjects.some(taken => covers(taken, subject)) ? undefined : new UntakenError();
    } catch (error) {
      return isMissing(error) ? error : undefined;
    }
  }

  reading(consumer: ConsumerInfo): Consumer {
    return this.js.consumers.getConsumerFromInfo(consumer);
  }

  /** Lets go of a consumer that nobody waits for any more, once it is made. */
  async abandon(making: Promise<ConsumerInfo>, error: unknown): Promise<never> {
    making.then(made => this.forget(made)).catch(() => {});
    throw error;
  }

  /** Deletes a consumer; never rejects: when that fails NATS lets go of it by itself. */
  async forget({ name }: ConsumerInfo): Promise<void> {
    if (this.nc.isClosed()) return;
    const deleting = this.jsm.consumers.delete(this.stream, name).catch(() => {});
    this.deleting.add(deleting);
    await deleting;
    this.deleting.delete(deleting);
  }

  /**
   * Waits for an answer: not for one that was asked for on a connection that is no more, and with the reason if
   * there is none because NATS does not allow to ask.
   *
   * @param about a part of the subject on which is asked.
   */
  answer<A>(asked: Promise<A>, about: string = this.stream): Promise<A> {
    const { denied } = this;
    return new Promise((resolve, reject) => {
      const broke = () => reject(new BrokenError());
      this.asking.add(broke);
      const failed = (error: unknown) => {
        const why = this.denied !== denied && this.denied?.subject.includes(about) ? this.denied : error;
        reject(why);
      };
      asked.then(resolve, failed).finally(() => this.asking.delete(broke));
    });
  }

  /** Resolves when NATS has all that was sent; rejects when it did not allow some of it that names `about`. */
  async heard(about: string): Promise<void> {
    await this.answer(this.nc.flush());
    // What it says beside comes before, and is read a little later.
    await new Promise(setImmediate);
    if (this.denied?.subject.includes(about)) throw this.denied;
  }

  /** Hears of the connection. */
  private async watch(): Promise<void> {
    for await (const { type, error } of this.statuses) {
      if (type === 'error' && error?.name === 'PermissionViolationError') this.denies(error as Denied);
      if (type === 'error' && error && REFUSED.has(error.name)) this.refusal = error;
      if (type === 'disconnect') this.listener?.broke(this.refusal);
      if (type !== 'reconnect') continue;
      this.broke();
      this.listener?.back();
    }
  }

  /** What was asked is not answered any more. */
  private broke(): void {
    const asking = [...this.asking];
    this.asking.clear();
    for (const broke of asking) broke();
    this.publisher.broke(new BrokenError());
  }

  private denies(denied: Denied): void {
    this.denied = denied;
    this.publisher.denied(denied.subject, denied);
  }

  /** Lets go of the connection, once what was to be deleted is. */
  async close(): Promise<void> {
    this.statuses.stop();
    this.publisher.close();
    await new Promise<void>(resolve => {
      const late = after(LEAVING_MS, resolve);
      void Promise.all(this.deleting)
        .then(() => late.stop())
        .then(resolve);
    });
  }
}
