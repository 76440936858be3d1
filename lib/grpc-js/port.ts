import { Metadata, type status as Status, status } from '@grpc/grpc-js';
import { DEADLINE_EXCEEDED } from '../status/status.ts';
import type { ConnectionInfo, Outcome } from '../types.ts';
import { FrameDelivery } from '../wire/frames.ts';
import type { Carrier, Delivery, Identity, Port, Serialize, WireStatus } from '../wire/port.ts';
import { type Below, lookBelow } from './below.ts';
import { LinkDelivery } from './link-delivery.ts';

/** grpc-js as a transport; what kind of call it gives tells how headers, messages and the status go down to it. */
export abstract class GrpcPort implements Port {
  protected readonly below: Below;

  constructor(
    /** The call below: that of grpc-js itself, or the nearest interceptor. */
    link: unknown,
    /** Tells the sizes of messages where others encode them. */
    protected readonly serialize?: Serialize | undefined,
    /** What a handler of grpc-js was given, when nobody but us has it. */
    given?: object,
  ) {
    this.below = lookBelow(link, given);
  }

  abstract header(metadata: Metadata): void;
  abstract message(message: unknown, ack: () => void): void;
  abstract status(last: WireStatus): void;

  /** A status for others than grpc-js itself to see, who might look at its trailers, or put some in. */
  protected shown(last: WireStatus): WireStatus & { readonly metadata: Metadata } {
    return { ...last, metadata: last.metadata ?? new Metadata() };
  }

  get identity(): Identity | undefined {
    return this.below.identity;
  }

  get direct(): boolean {
    return this.below.direct;
  }

  get connectionInfo(): ConnectionInfo {
    return this.below.connectionInfo;
  }

  get over(): boolean {
    return this.below.over();
  }

  /** A deadline that a timer cannot hold might arrive as one long past. */
  deadline(expiresAt: number): number {
    if (expiresAt > Date.now() - IMPOSSIBLY_LATE_MS) return expiresAt;
    this.below.disarm();
    return Number.POSITIVE_INFINITY;
  }

  open(carrier: Carrier): Delivery {
    const outlet = this.below.outlet();
    return outlet
      ? new FrameDelivery(outlet, carrier)
      : new LinkDelivery(this, this.below, carrier, this.serialize);
  }

  /** Ended by an interceptor of ours, by the client, by its connection, or by grpc-js itself. */
  verdict(late: boolean): Outcome {
    const concluded = this.below.conclusion();
    if (concluded) return concluded;
    const sent = this.below.sentStatus();
    if (sent === status.DEADLINE_EXCEEDED || (sent === undefined && late)) return DEADLINE_EXCEEDED;
    if (sent !== undefined || this.below.endedItself())
      return { code: sent ?? status.INTERNAL, details: 'ended by grpc-js', reason: 'error' };
    if (this.below.disconnected())
      return { code: status.CANCELLED, details: 'connection lost', reason: 'disconnected' };
    return { code: status.CANCELLED, details: 'cancelled by the client', reason: 'cancelled' };
  }

  reset(code: Status): void {
    this.below.reset(code);
  }

  belongsTo(server: object): boolean {
    return this.below.belongsTo(server);
  }
}

/** A call whose deadline passed this long ago would not have been started. */
const IMPOSSIBLY_LATE_MS = 60_000;
