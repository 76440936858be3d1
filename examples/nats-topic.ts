import { connect } from '@nats-io/transport-node';
import { type JetStreamTopic, jetstreamTopic } from 'leat/nats';
import type { Update } from '../proto/generated/streamservice/Update.ts';
import type { Setting } from './example.ts';
import { settings, type UpdateTopic } from './update-topic.ts';

/** A day, for clients that come back, in nanoseconds as NATS counts. */
const MAX_AGE = 24 * 3600 * 1e9;

/** Updates in a stream of NATS JetStream, the same for every process that is given its address. */
export async function inNats(
  url: string,
  { log, serving }: Setting,
  { history = settings.history }: { history?: number } = {},
): Promise<UpdateTopic> {
  const nc = await connect({
    servers: url,
    // How long it takes to say that nobody is there, now and at each attempt to come back.
    timeout: 2000,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
  }).catch(error => {
    throw new Error(`cannot reach NATS at ${hostOf(url)}: ${error.message}`);
  });
  let updates: JetStreamTopic<Update>;
  try {
    updates = await jetstreamTopic<Update>(nc, {
      ...settings,
      ...{ history, stream: 'leat-updates', subject: 'leat.updates', create: { max_age: MAX_AGE } },
      decode: (bytes, { sequence }) => ({ ...JSON.parse(Buffer.from(bytes).toString()), sequence }),
      onEvent({ type, error }) {
        if (type === 'live' || type === 'away') serving?.(type === 'live');
        log(`updates: ${type}${error instanceof Error ? `: ${error.message}` : ''}`);
      },
    });
  } catch (error) {
    await nc.close();
    throw error;
  }
  return {
    publish: (update, id) =>
      updates.publish(update, { id }).catch(error => log(`an update is not published: ${error.message}`)),
    subscribe: options => updates.subscribe(options),
    async close() {
      await updates.close();
      await nc.drain().catch(() => {});
    },
    get subscribers() {
      return updates.subscribers;
    },
  };
}

/** Without what may be a password. */
function hostOf(url: string): string {
  return url.replace(/^.*@/, '');
}
