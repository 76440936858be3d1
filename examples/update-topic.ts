import { type TopicSubscribeOptions, type TopicSubscription, topic } from 'leat/sources';
import type { Update } from '../proto/generated/streamservice/Update.ts';

/** Where updates are published, and who wants them subscribes: in this process, or in NATS. */
export interface UpdateTopic {
  /** Gives the update its sequence number. What has the same id is published once, where that can be known. */
  publish(update: Omit<Update, 'sequence'>, id: string): unknown;
  subscribe(options: TopicSubscribeOptions<Update>): TopicSubscription<Update>;
  close(): unknown;
  readonly subscribers: number;
}

/** What is the same for both. */
export const settings = {
  capacity: 100,
  overflow: 'drop-newest',
  history: 1000 as number,
  key: (update: Update) => update.topic,
} as const;

/** Numbers that do not come again after a restart, so that nobody resumes at the wrong update. */
export function inProcess(): UpdateTopic {
  const updates = topic<Update>({ ...settings, startAfter: Date.now() * 1000 });
  return {
    publish: update => updates.publish({ ...update, sequence: updates.last + 1 }),
    subscribe: options => updates.subscribe(options),
    close: () => updates.close(),
    get subscribers() {
      return updates.subscribers;
    },
  };
}
