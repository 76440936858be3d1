import { type ServiceError, type StatusObject, status } from '@grpc/grpc-js';
import type { Attempt } from './attempt.ts';

/**
 * Which failures are retried: those with one of these codes, or those the function says yes to, at once or later.
 * What this client itself refused (a message that is larger than its limits, or that it cannot decode or encode)
 * would be refused again, and is never retried.
 */
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

/** How grpc-js says what its own side of a call cannot send or read. */
const OWN_REFUSALS: readonly [status, RegExp][] = [
  [status.RESOURCE_EXHAUSTED, /^(?:Received|Sent) message larger than max \(/],
  [status.RESOURCE_EXHAUSTED, /^Received message that decompresses to a size larger than /],
  [status.RESOURCE_EXHAUSTED, /^Attempted to send message with a size larger than /],
  [status.INTERNAL, /^(?:Response message parsing error|Request message serialization failure): /],
];

/** Whether this client refused it. What a server says might read the same, but comes with headers of its own. */
export function isOwnRefusal({ code, details, metadata }: StatusObject): boolean {
  if (Object.keys(metadata.toJSON()).length > 0) return false;
  return OWN_REFUSALS.some(([refused, text]) => code === refused && text.test(details));
}
