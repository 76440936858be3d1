import { randomUUID } from 'node:crypto';
import { credentials, Metadata, status } from '@grpc/grpc-js';
import { type Call, type Method, type Middleware, produce, StatusError } from 'leat';
import { subscribe } from 'leat/client';
import { type SlowConsumer, sleep, type TopicSubscription } from 'leat/sources';
import type { SubscribeRequest__Output } from '../proto/generated/streamservice/SubscribeRequest.ts';
import type { Update } from '../proto/generated/streamservice/Update.ts';
import type { Example, Setting } from './example.ts';
import { streamservice } from './protos.ts';
import { retrying } from './retrying.ts';
import { inProcess, type UpdateTopic } from './update-topic.ts';

const TOPICS = ['orders', 'inventory', 'alerts'];
const POLICIES: SlowConsumer[] = ['drop-newest', 'drop-oldest', 'latest', 'conflate', 'error'];

/**
 * Publish and subscribe: each subscriber gets what it asked for once, whatever others do. One that is too slow
 * misses updates, or what it chose in the request metadata `overflow`. One that comes back with
 * `last-event-id` gets what it missed, or OUT_OF_RANGE.
 */
export class Updates {
  private readonly subscriptions = new WeakMap<
    Call,
    { subscription: TopicSubscription<Update>; who: string }
  >();
  private readonly closed = new AbortController();

  constructor(
    private readonly setting: Setting,
    private readonly updates: UpdateTopic = inProcess(),
  ) {}

  publish(
    about: string,
    message: string,
    metadata: Record<string, string>,
    id: string = randomUUID(),
  ): unknown {
    const now = Date.now();
    const timestamp = { seconds: Math.floor(now / 1000), nanos: (now % 1000) * 1e6 };
    return this.updates.publish({ topic: about, message, timestamp, metadata }, id);
  }

  private readonly source: Method<SubscribeRequest__Output, Update> = ({ topics, clientId }, call) => {
    const [after] = call.metadata.get('last-event-id');
    const [overflow = 'drop-newest'] = call.metadata.get('overflow').map(String);
    if (!isPolicy(overflow))
      throw new StatusError(
        status.INVALID_ARGUMENT,
        `unknown overflow '${overflow}': ${POLICIES.join(', ')}`,
      );
    const wanted = new Set(topics);
    const subscription = this.updates.subscribe({
      signal: call.signal,
      after: after?.toString(),
      overflow,
      filter: update => wanted.has(update.topic ?? ''),
    });
    call.sendHeader();
    this.subscriptions.set(call, {
      subscription,
      who: clientId ? JSON.stringify(clientId.slice(0, 100)) : call.peer,
    });
    return subscription;
  };

  /** Tells a subscriber how many updates it missed, and the log too, however the call ends. */
  private readonly counted: Middleware = call => ({
    end: () => {
      const { subscription, who } = this.subscriptions.get(call) ?? {};
      if (subscription === undefined) return;
      call.trailer.set('x-skipped', String(subscription.dropped));
      if (subscription.dropped > 0) this.setting.log(`${who} missed ${subscription.dropped} updates`);
    },
  });

  readonly handler = produce(this.source, this.counted);

  /** How many are subscribed. */
  get subscribers(): number {
    return this.updates.subscribers;
  }

  /**
   * Publishes one update a topic a second until `close`. Every process does; by its id, what several of them
   * publish in one second is one update.
   */
  async demo(): Promise<void> {
    const periodMs = 1000 / this.setting.speed;
    try {
      for (;;) {
        const period = Math.floor(Date.now() / periodMs);
        for (const about of TOPICS)
          void this.publish(about, `Update from ${about}`, { source: 'system' }, `${about} ${period}`);
        await sleep(periodMs, this.closed.signal);
      }
    } catch (error) {
      if (!this.closed.signal.aborted) throw error;
    }
  }

  /** Ends all subscriptions, after what waits for them. */
  close(): unknown {
    this.closed.abort();
    return this.updates.close();
  }
}

/** Comes back by itself, and goes on after the last update it took. */
export const updates: Pick<Example, 'usage' | 'flags' | 'show'> = {
  usage: '[--topics A,B] [--count N] [--client-id ID] [--patience SECONDS]',
  flags: {
    topics: { type: 'string', default: TOPICS.join() },
    count: { type: 'string', default: '6' },
    'client-id': { type: 'string', default: 'client-001' },
    patience: { type: 'string', default: '3' },
  },
  async show({ address, print, text, number }) {
    const client = new streamservice.StreamService(address, credentials.createInsecure());
    const stream = subscribe(
      (...call) => client.subscribeToUpdates(...call),
      { topics: text('topics').split(',').filter(Boolean), clientId: text('client-id') },
      { ...retrying(print), metadata: new Metadata(), token: ({ sequence }) => sequence },
    );
    const waits = setTimeout(
      () => print(`no update of ${text('topics')} yet: waiting for one`),
      number('patience') * 1000,
    );
    let left = number('count', 1);
    for await (const { timestamp, topic, message } of stream) {
      clearTimeout(waits);
      const time = new Date(Number(timestamp?.seconds) * 1000).toISOString();
      print(`[${time}] ${topic}: ${message}`);
      if (--left === 0) break;
    }
    clearTimeout(waits);
    client.close();
  },
};

function isPolicy(value: string): value is SlowConsumer {
  return (POLICIES as string[]).includes(value);
}
