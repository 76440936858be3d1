import type { Metadata } from '@grpc/grpc-js';
import { type Inside, inside } from '../inside.ts';
import type { Stats } from '../stats.ts';
import type { AuthContext, Call, ConnectionInfo, Kind, Outcome } from '../types.ts';
import type { Values } from '../values.ts';
import type { Notice } from './notice.ts';

/** A call, as its view sees it. */
interface Seen extends Inside {
  readonly path: string;
  readonly kind: Kind;
  readonly origin: { readonly metadata: Metadata; getHost(): string };
  readonly peer: string;
  readonly authContext: AuthContext;
  readonly wire: { readonly connectionInfo: ConnectionInfo };
  readonly expiresAt: number;
  readonly notice: Pick<Notice, 'signal'>;
  readonly header: Metadata;
  readonly trailer: Metadata;
  readonly stats: Stats;
  sendHeader(): void;
  end(outcome: Outcome): void;
}

/** One RPC, as methods, middleware and hooks see it: they hold this, and never the call itself. */
export function viewOf<Req>(call: Seen, request: Req): Call<Req> {
  return new CallView(call, call.path, call.kind, request, call.origin.metadata);
}

class CallView<Req> implements Call<Req> {
  readonly [inside]: Seen;

  constructor(
    call: Seen,
    readonly path: string,
    readonly kind: Kind,
    readonly request: Req,
    readonly metadata: Metadata,
  ) {
    this[inside] = call;
  }

  get peer(): string {
    return this[inside].peer;
  }

  get host(): string {
    return this[inside].origin.getHost();
  }

  get authContext(): AuthContext {
    return this[inside].authContext;
  }

  get connectionInfo(): ConnectionInfo {
    return this[inside].wire.connectionInfo;
  }

  get deadline(): Date | undefined {
    const { expiresAt } = this[inside];
    return Number.isFinite(expiresAt) ? new Date(expiresAt) : undefined;
  }

  get signal(): AbortSignal {
    return this[inside].notice.signal;
  }

  get header(): Metadata {
    return this[inside].header;
  }

  get trailer(): Metadata {
    return this[inside].trailer;
  }

  get values(): Values {
    return this[inside].rpc.values;
  }

  get stats(): Stats {
    return this[inside].stats;
  }

  sendHeader(): void {
    this[inside].sendHeader();
  }

  end(outcome: Outcome): void {
    this[inside].end(outcome);
  }
}
