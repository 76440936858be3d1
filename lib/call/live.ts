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
  /** Its neighbours in the list. */
  newer: Live | undefined;
  older: Live | undefined;
  listed: boolean;
}

/**
 * A list that goes through the calls themselves. A set would cost a call more than all else that is done for it: with
 * calls that come and go it is rehashed all the time, and its old tables keep calls that are over.
 */
class LiveCalls implements Iterable<Live> {
  size = 0;
  private first: Live | undefined;

  add(call: Live): void {
    if (call.listed) return;
    call.listed = true;
    call.older = this.first;
    if (this.first) this.first.newer = call;
    this.first = call;
    this.size += 1;
  }

  delete(call: Live): void {
    if (!call.listed) return;
    const { newer, older } = call;
    if (newer) newer.older = older;
    else this.first = older;
    if (older) older.newer = newer;
    call.listed = false;
    call.newer = undefined;
    call.older = undefined;
    this.size -= 1;
  }

  /** As they are when it begins. */
  [Symbol.iterator](): Iterator<Live> {
    const calls: Live[] = [];
    for (let call = this.first; call; call = call.older) calls.push(call);
    return calls.values();
  }
}

/** The calls of this process that are open now. */
export const live: LiveCalls = new LiveCalls();

/** Asked before a call starts; an answer is how it ends instead. */
export const refusals: Set<(call: Live) => Outcome | undefined> = new Set();

export function refusal(call: Live): Outcome | undefined {
  if (refusals.size === 0) return undefined;
  for (const refuse of refusals) {
    const outcome = refuse(call);
    if (outcome) return outcome;
  }
  return undefined;
}
