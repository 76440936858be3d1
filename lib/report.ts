import { isThenable } from './check.ts';
import { survive } from './hooks.ts';
import { insideOf, isNews } from './inside.ts';
import type { Call } from './types.ts';

/** Prints to the console, with the id that the client was given: what nobody else hears must still be seen. */
export function printError(error: unknown, call: Call): void {
  const [id] = call.trailer.get('x-error-id');
  console.error(`leat: ${call.path}:${id === undefined ? '' : ` ${id}:`}`, error);
}

/** Tells the hook of this call of an error, and of the same error once for all mounts of the RPC. */
export function report(error: unknown, call: Call): void {
  if (isNews(error, call)) survive(() => (insideOf(call)?.settings.onError ?? printError)(error, call));
}

/** Calls a hook that is only told something: what it fails with, at once or later, is reported and changes nothing. */
export function tell(call: Call, hook: () => unknown): void {
  const failed = (error: unknown) => report(error, call);
  try {
    const told = hook();
    if (isThenable(told)) told.then(undefined, failed);
  } catch (error) {
    failed(error);
  }
}
