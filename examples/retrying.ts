import { status } from '@grpc/grpc-js';
import type { SubscribeOptions } from 'leat/client';

/**
 * How the clients here come back: after 1, 2, 4 … 30 seconds, each cut short at random so that not all come at
 * once, and five times at the most. A server that was never there is not waited for.
 */
export function retrying(print: (line: string) => void) {
  return {
    backoff: { baseMs: 1000, maxMs: 30_000 },
    maxAttempts: 6,
    firstFailure: 'throw',
    onAttemptEnd({ status: ended }, retryMs) {
      if (retryMs === undefined) return;
      const name = ended ? status[ended.code] : 'no status';
      print(`stream ended with ${name}, reconnecting in ${Math.round(retryMs)} ms`);
    },
  } satisfies SubscribeOptions<unknown, unknown>;
}
