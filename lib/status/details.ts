import { expected } from '../check.ts';

/** One rich error detail, a `google.protobuf.Any`: a message already encoded, and its type. */
export interface Detail {
  /** Such as `type.googleapis.com/google.rpc.RetryInfo`. */
  readonly typeUrl: string;
  /** The encoded message. */
  readonly value: Uint8Array;
}

/**
 * Encodes a `google.rpc.Status`, the content of `grpc-status-details-bin`.
 * @see https://github.com/googleapis/googleapis/blob/master/google/rpc/status.proto
 */
export function encodeStatus(code: number, message: string, details: readonly Detail[]): Buffer {
  const parts = [Buffer.from([0x08]), varint(code), field(2, Buffer.from(message))];
  for (const { typeUrl, value } of details)
    parts.push(field(3, Buffer.concat([field(1, Buffer.from(typeUrl)), field(2, value)])));
  return Buffer.concat(parts);
}

export function checkDetails(details: unknown): void {
  if (!Array.isArray(details)) throw expected('options.details', 'a list of details', details);
  details.forEach((detail: Partial<Detail> | null | undefined, index) => {
    if (typeof detail?.typeUrl !== 'string' || !(detail.value instanceof Uint8Array))
      throw expected(`options.details[${index}]`, 'a detail: a `typeUrl`, and bytes as its `value`', detail);
  });
}

function field(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2]), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}
