import { status } from '@grpc/grpc-js';
import { answerOf, isBoolean } from '../../lib/hooks.ts';
import type { Call, Outcome } from '../../lib/types.ts';
import type { Safely } from './guard.ts';

/** Whether an outcome is an error of this server; `undefined` leaves it to the conventions. */
export type IsError = (outcome: Outcome, call: Call) => boolean | undefined;

/** The codes that are errors of a server; all others are answers. */
const ERRORS: ReadonlySet<status> = new Set([
  status.UNKNOWN,
  status.DEADLINE_EXCEEDED,
  status.UNIMPLEMENTED,
  status.INTERNAL,
  status.UNAVAILABLE,
  status.DATA_LOSS,
]);

/**
 * For `isError`, of both `tracing` and `metrics`: a deadline that passes is how a stream without an end of its
 * own is meant to end, and no error. It never throws.
 *
 * @example
 * mount(server, service, sources, tracing({ isError: deadlineIsNotError }));
 */
export function deadlineIsNotError({ code }: Outcome): boolean | undefined {
  return code === status.DEADLINE_EXCEEDED ? false : undefined;
}

/** The one decision behind the status of the span and `error.type`. */
export function isFailure(
  outcome: Outcome,
  call: Call,
  isError: IsError | undefined,
  safely: Safely,
): boolean {
  const decide = (isError: IsError) =>
    answerOf('isError', 'true, false or undefined', isError(outcome, call), isDecision);
  const decided = isError && safely('isError', () => decide(isError), undefined);
  return decided ?? (ERRORS.has(outcome.code) || status[outcome.code] === undefined);
}

function isDecision(answer: unknown): answer is boolean | undefined {
  return answer === undefined || isBoolean(answer);
}
