import { types } from 'node:util';
import { expected } from '../check.ts';

/**
 * What comes before each message on the wire: a byte that says whether it is compressed, and its length in four.
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
export const PREFIX_BYTES = 5;

/**
 * What a serialiser made, if that is bytes: of anything else `set` would copy a part or nothing, and the message would
 * go out with whatever was in memory before.
 * @throws TypeError
 */
export function bytesOf(encoded: unknown): Uint8Array {
  if (!types.isUint8Array(encoded)) throw expected('responseSerialize()', 'bytes', encoded);
  return encoded;
}

/** Calling `set` costs more than so many bytes one by one. */
const FEW_BYTES = 32;

/** A message with its prefix. */
export function frameOf(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.byteLength);
  putFrame(frame, 0, message);
  return frame;
}

/** Writes a message with its prefix into `target`, from `at` on. */
export function putFrame(target: Uint8Array, at: number, message: Uint8Array): void {
  const size = message.byteLength;
  target[at] = 0;
  target[at + 1] = size >>> 24;
  target[at + 2] = size >>> 16;
  target[at + 3] = size >>> 8;
  target[at + 4] = size;
  const start = at + PREFIX_BYTES;
  if (size > FEW_BYTES) target.set(message, start);
  else for (let index = 0; index < size; index++) target[start + index] = message[index] as number;
}
