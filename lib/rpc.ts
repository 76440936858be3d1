import type { Metadata, status } from '@grpc/grpc-js';
import type { Hooks } from './settings.ts';
import type { Outcome } from './types.ts';
import { Values } from './values.ts';

/** What a client is told at the end of a call. */
export interface WireStatus {
  readonly code: status;
  readonly details: string;
  /** Its trailers, if there are any. */
  readonly metadata?: Metadata | undefined;
}

/** What the mounts of one RPC know of each other: an interceptor and a handler of ours might both see it. */
export class Rpc {
  /** How the last mount of ours concluded it, and the status it sent for that. */
  private concluded: { readonly outcome: Outcome; readonly sent: WireStatus } | undefined;
  /** Errors that were reported already. */
  private reported: Set<unknown> | undefined;
  /** What has done its work for this RPC. */
  private done: Set<object> | undefined;
  private known: Values | undefined;
  /** Who hears of what goes wrong, where a mount was told nothing of that. */
  hooks: Hooks | undefined;

  /** What layers found out about it. */
  get values(): Values {
    this.known ??= new Values();
    return this.known;
  }

  conclude(outcome: Outcome, sent: WireStatus): void {
    this.concluded = { outcome, sent };
  }

  /**
   * How a mount of ours concluded this RPC, if this is the status which that mount sent. A status whose code or
   * details somebody changed on the way is theirs; trailers that somebody added to ours are kept.
   */
  conclusion({ code, details, metadata }: WireStatus): Outcome | undefined {
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

  /** Whether nobody asked with this key before. */
  first(key: object): boolean {
    this.done ??= new Set();
    if (this.done.has(key)) return false;
    this.done.add(key);
    return true;
  }
}

/** What a mount sees of its RPC when it looks below. */
export interface Identity {
  /** The lowest object it gets down to, which serves this RPC alone. */
  readonly of: object;
  /** Whether that is the call of grpc-js, so that there is nothing below. */
  readonly isCall: boolean;
}

const records = new WeakMap<object, Rpc>();

/** By the metadata of their clients, those RPCs that a mount which does not get down to them may be of. */
const offered = new WeakMap<object, Rpc | undefined>();

/**
 * The record of an RPC, found by the call of grpc-js itself, or by the lowest of the objects that an interceptor of
 * somebody else shows instead. What that one hides is found by the metadata that the client sent, once: many RPCs might
 * be given the same metadata, and none of them may be taken for another.
 */
export function recordOf(metadata: object, identity?: Identity): Rpc {
  const { of, isCall } = identity ?? { of: metadata, isCall: false };
  const known = records.get(of);
  if (known) return known;
  const rpc = (isCall ? undefined : offered.get(metadata)) ?? new Rpc();
  records.set(of, rpc);
  offered.set(metadata, isCall && !offered.has(metadata) ? rpc : undefined);
  return rpc;
}
