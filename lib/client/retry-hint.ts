import type { Metadata } from '@grpc/grpc-js';

const RETRY_INFO = 'type.googleapis.com/google.rpc.RetryInfo';

/**
 * How many milliseconds a server asks to wait before a retry: `grpc-retry-pushback-ms`, or a
 * `google.rpc.RetryInfo` in `grpc-status-details-bin`. `Infinity` when it asks for no retry, `undefined` when
 * it does not say.
 */
export function retryHint(trailer: Metadata): number | undefined {
  const pushback = trailer.get('grpc-retry-pushback-ms').at(-1);
  if (pushback !== undefined) return /^\d{1,12}$/.test(String(pushback)) ? Number(pushback) : Infinity;
  const details = trailer.get('grpc-status-details-bin').at(-1);
  if (!Buffer.isBuffer(details)) return undefined;
  try {
    return retryDelay(details);
  } catch {
    return undefined;
  }
}

/** Status.details (3) → Any { type_url (1), value (2) } → RetryInfo.retry_delay (1) → Duration. */
function retryDelay(details: Buffer): number | undefined {
  for (const [number, any] of fields(details)) {
    if (number !== 3 || typeof any === 'bigint') continue;
    const parts = new Map(fields(any));
    if (String(parts.get(1)) !== RETRY_INFO) continue;
    const delay = new Map(fields(parts.get(2) as Buffer)).get(1) as Buffer;
    const duration = new Map(fields(delay));
    const ms = Number(duration.get(1) ?? 0n) * 1000 + Number(duration.get(2) ?? 0n) / 1e6;
    return ms >= 0 && ms < 1e12 ? ms : undefined;
  }
  return undefined;
}

/** The fields of an encoded protobuf message: integers and what is delimited by length; the rest is passed over. */
function* fields(bytes: Buffer): Generator<[number, bigint | Buffer]> {
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    if ((tag & 7) === 0) yield [tag >> 3, varint()];
    else if ((tag & 7) === 2) {
      const length = Number(varint());
      yield [tag >> 3, bytes.subarray(at, at + length)];
      at += length;
    } else at += (tag & 7) === 1 ? 8 : 4;
  }
}
