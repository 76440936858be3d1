import type { Outcome } from '../types.ts';
import { isErrorCode, outcomeOf } from './status.ts';

/** What Node, or a child process, leaves on an error whose `code` is no status: an exit code, an error number. */
const NOT_A_STATUS = ['syscall', 'errno', 'cmd', 'spawnargs', 'signal', 'killed', 'exitCode'];

/**
 * The outcome of what a handler emitted as its status, `{ code, message }` and `{ code, details }` alike. An error that
 * the handler only handed on, such as one of Node's, is judged as if it had been thrown.
 */
export function outcomeOfGiven(given: unknown): Outcome {
  const outcome = outcomeOf(given);
  try {
    const { code, details, message, metadata } = given as Partial<Record<string, unknown>>;
    const meant = isErrorCode(code) && details === undefined && typeof message === 'string';
    if (!meant || given instanceof DOMException) return outcome;
    if (NOT_A_STATUS.some(name => name in (given as object))) return outcome;
    return { ...outcomeOf({ code, details: message, metadata }), cause: given };
  } catch {
    return outcome;
  }
}
