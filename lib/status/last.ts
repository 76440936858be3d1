import { type Metadata, status } from '@grpc/grpc-js';
import type { WireStatus } from '../rpc.ts';
import type { Outcome } from '../types.ts';
import { budgetOf, fitting, sendableDetails } from './budget.ts';
import { sendable } from './metadata.ts';
import { isErrorCode } from './status.ts';

/** What goes to a client last, as it may be sent: the status of an outcome, with the trailers of its call. */
export function lastOf(outcome: Outcome, trailer: Metadata | undefined): WireStatus {
  const code = outcome.code === status.OK || isErrorCode(outcome.code) ? outcome.code : status.UNKNOWN;
  if (trailer === undefined && outcome.metadata === undefined && outcome.details === 'OK')
    return { code, details: 'OK' };
  const text = sendableDetails(outcome.details);
  const metadata = sendable([trailer, outcome.metadata], budgetOf('trailer', text));
  return { code, details: fitting(text, metadata), metadata };
}
