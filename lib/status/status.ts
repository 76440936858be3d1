import { Metadata, status } from '@grpc/grpc-js';
import { checkMetadata, checkOptions, checkString, expected, isMetadata, show } from '../check.ts';
import type { EndReason, Outcome } from '../types.ts';
import { checkDetails, type Detail, encodeStatus } from './details.ts';

/** What a client reads of an error that was not meant for it. */
export const INTERNAL_ERROR = 'internal error';

/** What goes with a `StatusError`, beside its code and details. */
export interface StatusErrorOptions {
  /** Trailers to send with this status. */
  readonly metadata?: Metadata | undefined;
  /** What led to this status; never sent. */
  readonly cause?: unknown;
  /** Rich details (`google.rpc.*`), sent as `grpc-status-details-bin`. */
  readonly details?: readonly Detail[] | undefined;
}

/**
 * An error that is meant for the client: its code and details are sent as they are.
 * Any other error leaves as `UNKNOWN`, with nothing of it on the wire.
 *
 * @example
 * throw new StatusError(status.NOT_FOUND, 'no such job');
 */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  /** The status that the client reads. */
  readonly code: status;
  /** What the client reads beside it. */
  readonly details: string;
  /** Trailers to send with it, rich details among them. */
  readonly metadata: Metadata | undefined;

  /** @throws TypeError when `code` is not a status from 1 to 16, `details` not a string, or an option not of its kind. */
  constructor(code: status, details: string, options: StatusErrorOptions = {}) {
    checkOptions(options, ['metadata', 'cause', 'details']);
    if (!isErrorCode(code)) throw expected('code', 'a status from 1 to 16', code);
    checkString('details', details);
    super(`[${status[code]}] ${details}`, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.details = details;
    const { metadata, details: rich } = options;
    if (metadata !== undefined) checkMetadata('options.metadata', metadata);
    if (rich !== undefined) checkDetails(rich);
    this.metadata = metadata;
    if (rich?.length) {
      this.metadata = metadata?.clone() ?? new Metadata();
      this.metadata.set('grpc-status-details-bin', encodeStatus(code, details, rich));
    }
  }
}

export function isErrorCode(code: unknown): code is status {
  return Number.isInteger(code) && (code as number) >= 1 && (code as number) <= 16;
}

/**
 * The one ladder from whatever was thrown to how the call ends. A status is recognised by its shape: a code
 * from 1 to 16 and details. An error that a grpc-js client raised has that shape too, but is somebody else's
 * status, with somebody else's addresses in it, and is not passed on.
 */
export function outcomeOf(thrown: unknown, reason: EndReason = 'error'): Outcome {
  try {
    if (isStatus(thrown)) {
      const { code, details, metadata } = thrown;
      return { code, details, reason, metadata: isMetadata(metadata) ? metadata : undefined, cause: thrown };
    }
  } catch {
    // An object that answers anew, or throws, each time it is looked at.
  }
  return { code: status.UNKNOWN, details: INTERNAL_ERROR, reason, cause: thrown };
}

/** Whether it was thrown as a status, meant for the client. */
export function isStatus(thrown: unknown): thrown is StatusError {
  try {
    const { code, details } = thrown as Partial<StatusError>;
    if (!isErrorCode(code) || typeof details !== 'string') return false;
    return !isClientError(thrown as Error, code, details);
  } catch {
    // `undefined`, or an object that throws when it is looked at.
    return false;
  }
}

/** Whether the client reads nothing of what was thrown: somebody here should. */
export function isHidden({ code, details, reason, cause }: Outcome): boolean {
  const unsaid = code === status.UNKNOWN && details === INTERNAL_ERROR && reason === 'error';
  return unsaid && !isStatus(cause);
}

const REASONS: ReadonlySet<EndReason> = new Set([
  ...(['completed', 'error', 'cancelled', 'deadline'] as const),
  ...(['disconnected', 'drain', 'limit'] as const),
]);

/**
 * The outcome that a layer answered with; one that does not say why ends well, or as an error.
 * @throws TypeError when it is none.
 */
export function changedOutcome(answer: unknown): Outcome {
  try {
    const { code, details, reason, metadata, cause } = answer as Outcome;
    if (code === status.OK || isErrorCode(code)) {
      const known = REASONS.has(reason);
      if (known && typeof details === 'string' && (metadata === undefined || isMetadata(metadata)))
        return answer as Outcome;
      const trailers = isMetadata(metadata) ? metadata : undefined;
      const why = known ? reason : code === status.OK ? 'completed' : 'error';
      return { code, details: String(details ?? ''), reason: why, metadata: trailers, cause };
    }
  } catch {
    // Said below.
  }
  throw new TypeError(`Expected a layer to end its call with an outcome, got ${show(answer)}`);
}

export const DEADLINE_EXCEEDED: Outcome = {
  code: status.DEADLINE_EXCEEDED,
  details: 'Deadline exceeded',
  reason: 'deadline',
};

/** The outcome somebody ends a call with; what is none is their error. */
export function soundOutcome(outcome: unknown): Outcome {
  try {
    return changedOutcome(outcome);
  } catch (error) {
    return outcomeOf(error);
  }
}

/** The error that says how a call ended: what `signal.reason` is. It was not thrown anywhere, and has no stack. */
export function errorOf({ code, details, cause }: Outcome): StatusError {
  return withoutStack(() => new StatusError(isErrorCode(code) ? code : status.CANCELLED, details, { cause }));
}

/** A stack costs more than all else of an error; where the limit cannot be written, it is made all the same. */
function withoutStack<T>(make: () => T): T {
  const limit = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit');
  if (limit?.writable !== true) return make();
  Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    Error.stackTraceLimit = limit.value;
  }
}

function isClientError(error: Error, code: status, details: string): boolean {
  if (error instanceof StatusError) return false;
  const raised = `${code} ${status[code]}: ${details}`;
  // Its message might have been changed on the way; its stack still begins with the one it had.
  return String(error.message).includes(raised) || String(error.stack).includes(raised);
}
