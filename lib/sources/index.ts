export { type Channel, type ChannelOptions, channel, type Overflow } from './channel.ts';
export { type ChunkOptions, chunk } from './chunk.ts';
export { type EmitterLike, type FromEventOptions, type FromOptions, from, type TargetLike } from './from.ts';
export { type MergeOptions, merge } from './merge.ts';
export { type PollOptions, poll } from './poll.ts';
export { type ReplayOptions, replay } from './replay.ts';
export { sleep } from './sleep.ts';
export type { SlowConsumer, TopicSubscription } from './subscription.ts';
export { type Topic, type TopicOptions, type TopicSubscribeOptions, topic } from './topic.ts';
