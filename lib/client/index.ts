export type { Items } from '../types.ts';
export type { Attempt } from './attempt.ts';
export { type Backoff, type BackoffOptions, backoff } from './backoff.ts';
export type { Open } from './open.ts';
export type { ResumeLost, SubscribeOptions } from './options.ts';
export { type RetryRule, retryable } from './retry-rule.ts';
export { type Subscription, subscribe } from './subscribe.ts';
export { type GiveUpReason, SubscribeError } from './subscribe-error.ts';
