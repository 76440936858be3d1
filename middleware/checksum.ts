/**
 * A hash of all messages of a call, in a trailer.
 * @module
 */

import { createHash, getHashes } from 'node:crypto';
import { checkFunction, checkOptions, expected } from '../lib/check.ts';
import { answerOf } from '../lib/hooks.ts';
import { once } from '../lib/inside.ts';
import { makes, middleware } from '../lib/made.ts';
import { ResponseMetadata } from '../lib/status/metadata.ts';
import type { Middleware } from '../lib/types.ts';

/** Which checksum is made, and where it goes. */
export interface ChecksumOptions<Res> {
  /** The bytes of a message that are summed up, such as its encoding; text counts as UTF-8. */
  readonly bytes: (message: Res) => Uint8Array | string;
  /**
   * A hash that `node:crypto` knows.
   * @default 'sha256'
   */
  readonly algorithm?: string;
  /**
   * The trailer that it goes into, in hexadecimal.
   * @default 'x-checksum'
   */
  readonly trailer?: string;
}

/**
 * Sums up the messages as they go, for a trailer by which a client knows that it has got them all. It sums up what
 * passes it: list it before `batch()` for what is sent, after it for what the source yields. One that stands on
 * several mounts of a call sums up once, on the outermost; what `bytes` throws, or a promise of it, ends the call.
 *
 * @example
 * checksum({ bytes: message => Chunk.encode(message).finish() });
 * @throws TypeError when an option is not of its kind, or the trailer reserved.
 */
export function checksum<Res = any>(options: ChecksumOptions<Res>): Middleware<any, Res> {
  checkOptions(options, ['bytes', 'algorithm', 'trailer']);
  const { bytes, algorithm = 'sha256', trailer = 'x-checksum' } = options;
  checkFunction('bytes', bytes);
  if (!getHashes().includes(algorithm)) throw expected('algorithm', 'a hash of `node:crypto`', algorithm);
  checkName(trailer);
  return middleware(function checksum(call, next) {
    if (!once(call, checksum)) return;
    const hash = createHash(algorithm);
    return {
      message(message) {
        hash.update(answerOf('bytes', 'bytes or text', bytes(message), isBytes));
        next.message(message);
      },
      end: () => call.trailer.set(trailer, hash.digest('hex')),
    };
  });
}

makes(checksum);

/** @throws TypeError when a trailer cannot have this name. */
function checkName(trailer: string): void {
  if (typeof trailer !== 'string') throw expected('trailer', 'the name of a trailer', trailer);
  try {
    new ResponseMetadata('trailer').set(trailer, '');
  } catch (error) {
    throw error instanceof TypeError ? error : expected('trailer', 'the name of a trailer', trailer);
  }
}

function isBytes(answer: unknown): answer is Uint8Array | string {
  return typeof answer === 'string' || answer instanceof Uint8Array;
}
