import { expect } from 'chai';
import type { Call, Middleware, Outcome, Sink } from '../../lib/index.ts';
import { turn } from './harness.ts';

/** What one call looks like from its layers. */
export interface Seen {
  readonly middleware: Middleware;
  /** What passed on its way out. */
  readonly messages: unknown[];
  readonly outcomes: Outcome[];
  readonly call: Call;
  /** Where this layer sends: a test may end the call through it. */
  readonly next: Sink<unknown>;
}

/** A layer that changes nothing and keeps all it sees, for the last call if there are several. */
export function watcher(): Seen {
  let call: Call | undefined;
  let next: Sink<unknown> | undefined;
  const messages: unknown[] = [];
  const outcomes: Outcome[] = [];
  return {
    messages,
    outcomes,
    get call() {
      return there(call);
    },
    get next() {
      return there(next);
    },
    middleware: (given, sink) => {
      call = given;
      next = sink;
      return {
        message(message) {
          messages.push(message);
          sink.message(message);
        },
        end: outcome => void outcomes.push(outcome),
      };
    },
  };
}

function there<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('no call was made yet');
  return value;
}

/** Lets everything that is under way come to its end. */
export async function settled(turns = 5): Promise<void> {
  for (let i = 0; i < turns; i++) await turn();
}

/** A status that gRPC knows. */
export function expectLegal(code: number): void {
  expect(code).to.satisfy((value: number) => Number.isInteger(value) && value >= 0 && value <= 16);
}

/** Rejects when the signal aborts: what a source does that may be woken. */
export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

export function hasCall(seen: Seen): boolean {
  try {
    return seen.call !== undefined;
  } catch {
    return false;
  }
}
