import {
  type Consumer,
  type ConsumerInfo,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { BrokenError } from './failure.ts';

/** How long a request to JetStream may take, in milliseconds. */
const REQUEST_MS = 2000;
/** When NATS lets go of a consumer that nobody reads any more: one whose process was killed. */
const INACTIVE_MS = 10_000;

/** One stream, and what of it is read, on a connection that belongs to the user. */
export class Nats {
  readonly js: JetStreamClient;
  private readonly deleting: Set<Promise<unknown>> = new Set();
  private readonly asking: Set<() => void> = new Set();

  private constructor(
    readonly nc: NatsConnection,
    readonly jsm: JetStreamManager,
    readonly stream: string,
    private readonly subjects: readonly string[],
  ) {
    this.js = jetstream(nc, { timeout: REQUEST_MS });
  }

  static async on(nc: NatsConnection, stream: string, subjects: readonly string[]): Promise<Nats> {
    const jsm = await jetstreamManager(nc, { timeout: REQUEST_MS, checkAPI: false });
    return new Nats(nc, jsm, stream, subjects);
  }

  /** Makes a consumer of what was stored after a number. It keeps nothing: the cursor is ours. */
  consumer(after: number): Promise<ConsumerInfo> {
    const [subject] = this.subjects;
    return this.jsm.consumers.add(this.stream, {
      ack_policy: 'none',
      deliver_policy: 'by_start_sequence',
      opt_start_seq: after + 1,
      max_deliver: 1,
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: INACTIVE_MS * 1e6,
      // An array uses an older API of NATS, which permissions by subject do not know.
      ...(this.subjects.length === 1
        ? { filter_subject: subject as string }
        : { filter_subjects: [...this.subjects] }),
    });
  }

  reading(consumer: ConsumerInfo): Consumer {
    return this.js.consumers.getConsumerFromInfo(consumer);
  }

  /** Deletes a consumer; never rejects: when that fails NATS lets go of it by itself. */
  async forget({ name }: ConsumerInfo): Promise<void> {
    if (this.nc.isClosed()) return;
    const deleting = this.jsm.consumers.delete(this.stream, name).catch(() => {});
    this.deleting.add(deleting);
    await deleting;
    this.deleting.delete(deleting);
  }

  /** Waits for an answer, but not for one that was asked for on a connection that is no more. */
  answer<A>(asked: Promise<A>): Promise<A> {
    return new Promise((resolve, reject) => {
      const broke = () => reject(new BrokenError());
      this.asking.add(broke);
      asked.then(resolve, reject).finally(() => this.asking.delete(broke));
    });
  }

  /** There is a new connection. */
  reconnected(): void {
    const asking = [...this.asking];
    this.asking.clear();
    for (const broke of asking) broke();
  }

  /** Waits until what was to be deleted is. */
  async settled(): Promise<void> {
    await Promise.all(this.deleting);
  }
}
