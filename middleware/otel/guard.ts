import { diag } from '@opentelemetry/api';

/** Runs what must not break a call; says what failed, once, and goes on with something else. */
export type Safely = <T>(what: string, run: () => T, otherwise: T) => T;

export function guard(component: string): Safely {
  const told = new Set<string>();
  return function safely(what, run, otherwise) {
    try {
      return run();
    } catch (error) {
      tell(told, `${component}: ${what} failed; calls go on without it`, error);
      return otherwise;
    }
  };
}

function tell(told: Set<string>, message: string, error: unknown): void {
  if (told.has(message)) return;
  told.add(message);
  try {
    diag.error(`leat ${message}`, error);
  } catch {
    // A logger that fails must not break a call either.
  }
}
