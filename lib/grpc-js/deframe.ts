import { type StatusObject, status } from '@grpc/grpc-js';
import { Deframer } from '../wire/deframer.ts';
import { baseOf, limitOf } from './below.ts';

/** What finds the messages in what a client sends; private to grpc-js. */
interface Decoding {
  decoder?: {
    readonly readState?: unknown;
    readonly maxReadMessageLength?: unknown;
    write(chunk: Buffer): Buffer[];
  };
  sendStatus?(last: Omit<StatusObject, 'metadata'> & { metadata: null }): void;
}

/** What it is in before its first byte. */
const NO_DATA = 0;

/** Has the messages of a client that streams found by ours, unless some were found already. */
export function deframe(link: unknown): void {
  const base = baseOf(link) as Decoding | undefined;
  const { readState, maxReadMessageLength } = base?.decoder ?? {};
  if (base === undefined || readState !== NO_DATA || typeof maxReadMessageLength !== 'number') return;
  base.decoder = new Deframer(limitOf(maxReadMessageLength));
}

/**
 * Ends a call whose client closed its side within a message, as grpc-go does and grpc-js does not: what it had streamed
 * was taken for all. Answers whether that is so.
 */
export function endTruncated(link: unknown): boolean {
  const base = baseOf(link) as Decoding | undefined;
  if (!(base?.decoder instanceof Deframer) || base.decoder.complete) return false;
  base.sendStatus?.({ code: status.INTERNAL, details: 'Request ended within a message', metadata: null });
  return true;
}
