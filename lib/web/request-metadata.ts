import type { IncomingHttpHeaders } from 'node:http';
import { Metadata } from '@grpc/grpc-js';

/** What HTTP and gRPC themselves say by headers: no metadata of an application. */
const OF_TRANSPORT = new Set(
  `accept accept-encoding connection content-encoding content-length content-type expect grpc-accept-encoding
  grpc-encoding grpc-timeout host http2-settings keep-alive proxy-connection te trailer transfer-encoding
  upgrade`.split(/\s+/),
);

/** The headers of a request as metadata; what metadata cannot hold is left out. */
export function metadataOf(headers: IncomingHttpHeaders): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(':') || OF_TRANSPORT.has(name)) continue;
    try {
      if (name.endsWith('-bin'))
        for (const one of String(value).split(',')) metadata.add(name, Buffer.from(one.trim(), 'base64'));
      else if (Array.isArray(value)) for (const one of value) metadata.add(name, one);
      else metadata.set(name, value);
    } catch {
      // HTTP allows names and texts that gRPC does not.
    }
  }
  return metadata;
}

const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 1e-6 };

/** How long the client waits, in milliseconds; Infinity without a timeout, NaN when it says nothing that is one. */
export function timeoutOf(header: string | undefined): number {
  if (header === undefined) return Number.POSITIVE_INFINITY;
  const [, digits, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(header) ?? [];
  return digits === undefined ? Number.NaN : Number(digits) * (UNITS[unit] as number);
}
