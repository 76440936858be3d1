import type { status } from '@grpc/grpc-js';
import type { Kind, Outcome } from '../types.ts';

/** A call that is open, as whoever shuts a server down sees it. */
export interface Live {
  readonly kind: Kind;
  /** Tells the source that its call will end so; it may still finish in its own way. */
  announce(outcome: Outcome): void;
  end(outcome: Outcome): void;
  /** Called once, when the status of the call is on its way. */
  onEnded: (() => void) | undefined;
  readonly wire: { belongsTo(server: object): boolean; reset(code: status): void };
}

/** The calls of this process that are open now. */
export const live: Set<Live> = new Set();

/** Asked before a call starts; an answer is how it ends instead. */
export const refusals: Set<(call: Live) => Outcome | undefined> = new Set();

export function refusal(call: Live): Outcome | undefined {
  for (const refuse of refusals) {
    const outcome = refuse(call);
    if (outcome) return outcome;
  }
  return undefined;
}
