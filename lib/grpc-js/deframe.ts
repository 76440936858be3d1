import { Deframer } from '../wire/deframer.ts';
import { baseOf } from './below.ts';

/** What finds the messages in what a client sends; private to grpc-js. */
interface Decoding {
  decoder?: {
    readonly readState?: unknown;
    readonly maxReadMessageLength?: unknown;
    write(chunk: Buffer): Buffer[];
  };
}

/** What it is in before its first byte. */
const NO_DATA = 0;

/** Has the messages of a client that streams found by ours, unless some were found already. */
export function deframe(link: unknown): void {
  const base = baseOf(link) as Decoding | undefined;
  const { readState, maxReadMessageLength } = base?.decoder ?? {};
  if (base === undefined || readState !== NO_DATA || typeof maxReadMessageLength !== 'number') return;
  base.decoder = new Deframer(maxReadMessageLength);
}
