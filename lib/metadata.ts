import { Metadata, type MetadataValue } from '@grpc/grpc-js';
import { counters } from './counters.ts';

/** Trailers are cut to this many bytes of keys and values, so that every client can read the status. */
const MAX_TRAILER_BYTES = 8192;

/** HTTP/2 refuses these in a response, with an exception that nobody can catch, or takes them for its own. */
const HOP_BY_HOP = new Set([
  'connection',
  'te',
  'transfer-encoding',
  'keep-alive',
  'proxy-connection',
  'upgrade',
  'host',
  'content-length',
  'content-type',
]);

/** The keys with gRPC's own prefix that an application may send. */
const OURS_TO_SEND = new Set(['grpc-status-details-bin', 'grpc-retry-pushback-ms']);

function isReserved(key: string): boolean {
  const name = key.toLowerCase();
  if (name.startsWith('grpc-')) return !OURS_TO_SEND.has(name);
  return name.startsWith(':') || HOP_BY_HOP.has(name);
}

/** Headers or trailers of a call: refuses what cannot be sent at the moment it is set. */
export class ResponseMetadata extends Metadata {
  /** @internal Names the kind in messages. */
  readonly kind: 'header' | 'trailer';
  /** @internal */
  sent = false;

  constructor(kind: 'header' | 'trailer') {
    super();
    this.kind = kind;
  }

  override set(key: string, value: MetadataValue): void {
    if (this.admits(key)) super.set(key, value);
  }

  override add(key: string, value: MetadataValue): void {
    if (this.admits(key)) super.add(key, value);
  }

  override remove(key: string): void {
    if (this.admits(key)) super.remove(key);
  }

  override merge(other: Metadata): void {
    for (const [key, values] of Object.entries(other.toJSON()))
      for (const value of values as MetadataValue[]) this.add(key, value);
  }

  private admits(key: string): boolean {
    if (isReserved(key))
      throw new TypeError(`Expected a ${this.kind} that may be sent, got \`${key}\`, which is reserved`);
    if (!this.sent) return true;
    const message = `The ${this.kind} \`${key}\` was set after the ${this.kind}s were sent`;
    if (process.env.NODE_ENV !== 'production') throw new Error(message);
    process.emitWarning(message, { code: 'LEAT_LATE_METADATA' });
    return false;
  }
}

/** Copies of all that may be sent of `sources`, in order; what may not is dropped and counted. */
export function sendable(...sources: (Metadata | undefined)[]): Metadata {
  const result = new Metadata();
  for (const source of sources) {
    for (const [key, values] of entries(source)) {
      for (const value of values) {
        try {
          if (isReserved(key)) throw new TypeError(key);
          result.add(key, value);
        } catch {
          counters.droppedMetadata += 1;
        }
      }
    }
  }
  return result;
}

/** `sendable()`, and no larger than a client will read: the largest entries go first, and a mark is left. */
export function sendableTrailers(...sources: (Metadata | undefined)[]): Metadata {
  const trailers = sendable(...sources);
  const sizes = entries(trailers).map(([key, values]) => ({ key, bytes: sizeOf(key, values) }));
  let total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  if (total <= MAX_TRAILER_BYTES) return trailers;
  sizes.sort((a, b) => b.bytes - a.bytes);
  for (const { key, bytes } of sizes) {
    if (total <= MAX_TRAILER_BYTES) break;
    trailers.remove(key);
    counters.droppedMetadata += 1;
    total -= bytes;
  }
  trailers.set('leat-truncated', '1');
  return trailers;
}

function entries(metadata: Metadata | undefined): [string, MetadataValue[]][] {
  try {
    return metadata === undefined ? [] : (Object.entries(metadata.toJSON()) as [string, MetadataValue[]][]);
  } catch {
    counters.droppedMetadata += 1;
    return [];
  }
}

function sizeOf(key: string, values: MetadataValue[]): number {
  let bytes = 0;
  for (const value of values)
    bytes += key.length + (typeof value === 'string' ? value.length : Math.ceil(value.length / 3) * 4);
  return bytes;
}
