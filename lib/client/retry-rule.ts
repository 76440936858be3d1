import { type ServiceError, type StatusObject, status } from '@grpc/grpc-js';
import type { Attempt } from './attempt.ts';

/** Which failures are retried: those with one of these codes, or those the function says yes to, at once or later. */
export type RetryRule =
  | readonly status[]
  | ((error: ServiceError, attempt: Attempt<any>) => boolean | Promise<boolean>);

/**
 * The codes that are retried unless told otherwise. `CANCELLED` is one because it can only be somebody else's:
 * a server that shuts down, or a proxy between. The others say that the same again would fail again.
 *
 * A list that has `UNAVAILABLE` also takes in a connection that broke in the way that grpc-js calls `INTERNAL`
 * (`Received RST_STREAM …`), which no server said.
 */
export const retryable: readonly status[] = Object.freeze([
  status.UNAVAILABLE,
  status.RESOURCE_EXHAUSTED,
  status.ABORTED,
  status.CANCELLED,
]);

export function isListed(list: readonly status[], { code, details }: StatusObject): boolean {
  const broken = code === status.INTERNAL && details.startsWith('Received RST_STREAM with code ');
  return list.includes(code) || (broken && list.includes(status.UNAVAILABLE));
}
