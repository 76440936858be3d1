import type { Metadata, status } from '@grpc/grpc-js';
import type { Call, Outcome } from './types.ts';
import { Values } from './values.ts';

/** A status on its way to the client. */
interface Sent {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

/** What the mounts of one RPC know of each other: an interceptor and a handler of ours may both see it. */
export class Rpc {
  /** How the last mount of ours concluded it, and the status it sent for that. */
  private concluded: { readonly outcome: Outcome; readonly sent: Sent } | undefined;
  /** Errors that were reported already. */
  private reported: Set<unknown> | undefined;
  /** What has done its work for this RPC. */
  private done: Set<object> | undefined;
  private known: Values | undefined;

  /** What layers found out about it. */
  get values(): Values {
    this.known ??= new Values();
    return this.known;
  }

  conclude(outcome: Outcome, sent: Sent): void {
    this.concluded = { outcome, sent };
  }

  /**
   * How a mount of ours concluded this RPC, if that is where this status comes from. One that somebody changed on
   * its way is theirs, and what they added to its trailers is kept.
   */
  conclusion({ code, details, metadata }: Sent): Outcome | undefined {
    const { outcome, sent } = this.concluded ?? {};
    if (outcome === undefined || sent?.code !== code || sent.details !== details) return undefined;
    return { ...outcome, code, details, metadata: metadata ?? undefined };
  }

  /** Whether nobody was told of this error yet. */
  isNews(error: unknown): boolean {
    this.reported ??= new Set();
    if (this.reported.has(error)) return false;
    this.reported.add(error);
    return true;
  }

  /** Whether this is the first to ask with this key. */
  first(key: object): boolean {
    this.done ??= new Set();
    if (this.done.has(key)) return false;
    this.done.add(key);
    return true;
  }
}

const records = new WeakMap<object, Rpc>();

/**
 * The record of an RPC. It goes by the call of grpc-js itself and by the metadata its client sent: an interceptor of
 * somebody else may hide the one or copy the other.
 */
export function recordOf(metadata: object, identity: object = metadata): Rpc {
  const rpc = records.get(identity) ?? records.get(metadata) ?? new Rpc();
  records.set(identity, rpc);
  records.set(metadata, rpc);
  return rpc;
}

/** @internal A call that has a record. */
export interface Recorded {
  readonly rpc?: Rpc;
}

function rpcOf(call: Call): Rpc {
  return (call as Call & Recorded).rpc ?? recordOf(call);
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
