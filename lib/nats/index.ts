export { jetstreamTopic } from './jetstream-topic.ts';
export type { JetStreamTopicOptions } from './options.ts';
export type { Decode, Stored } from './stored.ts';
export type { JetStreamEvent, JetStreamTopic, PublishOptions } from './types.ts';
