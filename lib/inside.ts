import type { Settings } from './options.ts';
import type { Rpc } from './rpc.ts';
import type { Call, Outcome } from './types.ts';

/** Where a `Call` keeps what stands behind it; the same for two copies of leat in one process. */
export const inside: unique symbol = Symbol.for('leat.inside') as never;

/** What stands behind a `Call`, for those parts of leat that are given no more than users are. */
export interface Inside {
  settings: Settings;
  /** What the mounts of this RPC know of each other. */
  readonly rpc: Rpc;
  /** The call was ended: nobody further in has to hear of it. */
  readonly over: boolean;
  /** How the call was ended, as soon as it is. */
  readonly ending: Promise<Outcome>;
  /** Reports work that has not finished in time. */
  watch(work: PromiseLike<unknown>): void;
}

/** Nothing, for a call that somebody made up. */
export function insideOf(call: Call): Inside | undefined {
  return (call as Call & { readonly [inside]?: Inside })[inside];
}
