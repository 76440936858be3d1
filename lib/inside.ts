import { type Rpc, recordOf } from './rpc.ts';
import type { Settings } from './settings.ts';
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
  /** Whether nothing comes because nobody does anything. A method that works on its only answer does. */
  readonly mayIdle: boolean;
  /** How a call ends that no message may follow any more: not well, where its only one is missing. */
  judged(outcome: Outcome): Outcome;
  /** Ends the call with the error of a layer; of one that is over already it is reported, as that of a source is. */
  layerFailed(error: unknown): void;
  /** Counts a message that came too late, and reports that one was lost where its call ended well. */
  lateMessage(): void;
  /** Reports work that has not finished in time. */
  watch(work: PromiseLike<unknown>): void;
}

/** Nothing, for a call that somebody made up. */
export function insideOf(call: Call): Inside | undefined {
  return (call as Call & { readonly [inside]?: Inside })[inside];
}

function rpcOf(call: Call): Rpc {
  return insideOf(call)?.rpc ?? recordOf(call);
}

/** Whether nobody was told of this error of the RPC yet. */
export function isNews(error: unknown, call: Call): boolean {
  return rpcOf(call).isNews(error);
}

/**
 * Whether this is the first layer of its RPC that asks with `key`: a middleware that stands on two mounts of one
 * call does its work on the outermost.
 *
 * @example
 * return function logging(call) {
 *   if (!once(call, logging)) return;
 */
export function once(call: Call, key: object): boolean {
  return rpcOf(call).first(key);
}
