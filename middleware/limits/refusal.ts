import { Metadata, type status } from '@grpc/grpc-js';
import type { Outcome } from '../../lib/types.ts';

/** The end of a stream by a limit, with the time after which its client should come back. */
export function limited(code: status, details: string, retryMs: number): Outcome {
  const metadata = new Metadata();
  metadata.set('grpc-retry-pushback-ms', String(Math.ceil(retryMs)));
  return { code, details, reason: 'limit', metadata };
}
