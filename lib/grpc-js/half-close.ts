import type { Metadata } from '@grpc/grpc-js';
import { after } from '../timers.ts';
import { callAbove, isOver } from './below.ts';
import { endTruncated } from './deframe.ts';

/** How long a client that leaves may take to say so after it has closed its side, in milliseconds. */
const LEAVING_MS = 2;

/** Clients of which 200 of 200 cancels reset the stream and closed nothing before. Those of Node close their side first. */
const RESETS_AT_ONCE = /\bgrpc-(?:go|java|c)\b/;

/**
 * Tells that a client has sent all, once that is what it means. One that leaves looks the same at first: `close()` of
 * Node's HTTP/2, by which clients of grpc-js cancel, ends what was sent and resets the stream in a turn of its own,
 * which is another packet. That there is no reset for a while is no proof, but all that can be had without a word from
 * the client.
 */
export function halfClosed(link: unknown, metadata: Metadata, tell: () => void): void {
  // An interceptor of ours has waited already.
  if (callAbove(link)) return tell();
  const look = () => {
    if (!isOver(link) && !endTruncated(link)) tell();
  };
  if (RESETS_AT_ONCE.test(String(metadata.get('user-agent')))) return look();
  // What has come meanwhile is read in the turn after.
  after(LEAVING_MS, () => setImmediate(look));
}
