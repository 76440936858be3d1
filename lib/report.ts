import type { Call } from './types.ts';

/** Hears of errors that no client may read. */
export type ErrorHook = (error: unknown, call: Call) => void;

/** @internal A call that knows where its errors are reported. */
export interface Reporting {
  readonly onError?: ErrorHook;
}

/** Prints to the console: what nobody else was asked to hear must still be seen. */
export function printError(error: unknown, call: Call): void {
  console.error(`leat: ${call.path}:`, error);
}

/** Tells the hook of this call, once, and survives whatever the hook does. */
export function report(error: unknown, call: Call): void {
  try {
    const answer: unknown = ((call as Call & Reporting).onError ?? printError)(error, call);
    if (answer instanceof Promise) answer.catch(() => {});
  } catch {
    // A hook that fails must not change how the call ends.
  }
}
