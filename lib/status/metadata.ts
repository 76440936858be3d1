import { Metadata, type MetadataValue } from '@grpc/grpc-js';
import { counts } from '../counters.ts';
import { budgetOf, fieldBytes } from './budget.ts';

/** More values than this are cut. */
const MAX_VALUES = 100;

/** Says that some of it was left out. */
const MARK = 'leat-truncated';

/** HTTP refuses these in a response, HTTP/2 with an exception that nobody can catch, or takes them for its own. */
const HOP_BY_HOP = new Set([
  'connection',
  'te',
  'trailer',
  'transfer-encoding',
  'keep-alive',
  'proxy-connection',
  'upgrade',
  'host',
  'content-length',
  'content-type',
  'http2-settings',
]);

/** HTTP/2 in Node throws, where nobody can catch it, when one of these comes twice: the last value is sent. */
const SINGLE_VALUE = new Set(
  `access-control-allow-credentials access-control-max-age access-control-request-method age authorization
  content-encoding content-language content-location content-md5 content-range date dnt etag expires from if-match
  if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards
  proxy-authorization range referer retry-after tk upgrade-insecure-requests user-agent
  x-content-type-options`.split(/\s+/),
);

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
    // A source that is being closed might set trailers that nobody waits for any more.
    if (this.kind === 'trailer') return false;
    const message = `The ${this.kind} \`${key}\` was set after the ${this.kind}s were sent`;
    if (process.env.NODE_ENV !== 'production') throw new Error(message);
    process.emitWarning(message, { code: 'LEAT_LATE_METADATA' });
    return false;
  }
}

/**
 * Copies of all that may be sent of `sources`, in order, and no larger than a client will read: of what is too
 * much the largest entries go first, and a mark is left. What is dropped is counted.
 */
export function sendable(sources: readonly (Metadata | undefined)[], maxBytes: number): Metadata {
  const result = new Metadata();
  if (sources.every(source => source === undefined)) return result;
  for (const source of sources) for (const [key, values] of entries(source)) add(result, key, values);
  return shorten(result, maxBytes);
}

export function sendableHeader(header: Metadata | undefined): Metadata {
  if (header === undefined) return new Metadata();
  return sendable([header], budgetOf('header'));
}

function add(result: Metadata, key: string, values: MetadataValue[]): void {
  for (const value of values) {
    try {
      if (isReserved(key) || value === undefined || value === null) throw new TypeError(key);
      const sent = Buffer.isBuffer(value) ? value : String(value);
      if (SINGLE_VALUE.has(key)) result.set(key, sent);
      else result.add(key, sent);
    } catch {
      counts.droppedMetadata += 1;
    }
  }
}

function shorten(metadata: Metadata, maxBytes: number): Metadata {
  const sizes = entries(metadata).map(([key, values]) => ({
    key,
    count: values.length,
    bytes: sizeOf(key, values),
  }));
  let bytes = sizes.reduce((sum, entry) => sum + entry.bytes, 0);
  let count = sizes.reduce((sum, entry) => sum + entry.count, 0);
  if (bytes <= maxBytes && count <= MAX_VALUES) return metadata;
  bytes += fieldBytes(MARK, '1');
  // The details of a status say more than what an application adds to it.
  const expendable = (key: string) => Number(!key.startsWith('grpc-'));
  sizes.sort((a, b) => expendable(b.key) - expendable(a.key) || b.bytes - a.bytes);
  for (const entry of sizes) {
    if (bytes <= maxBytes && count < MAX_VALUES) break;
    metadata.remove(entry.key);
    counts.droppedMetadata += 1;
    bytes -= entry.bytes;
    count -= entry.count;
  }
  metadata.set(MARK, '1');
  return metadata;
}

/** What a metadata object of anybody's holds, as far as it can be read. */
function entries(metadata: Metadata | undefined): [string, MetadataValue[]][] {
  try {
    const all: [string, unknown][] = metadata === undefined ? [] : Object.entries(metadata.toJSON());
    return all.filter((entry): entry is [string, MetadataValue[]] => Array.isArray(entry[1]));
  } catch {
    counts.droppedMetadata += 1;
    return [];
  }
}

function sizeOf(key: string, values: MetadataValue[]): number {
  let bytes = 0;
  for (const value of values) bytes += fieldBytes(key, value);
  return bytes;
}
