import { type Metadata, status } from '@grpc/grpc-js';
import { type Below, lookBelow } from './below.ts';
import { counts } from './counters.ts';
import type { Delivery, Owner, Port, Serialize, WireStatus, Writer } from './delivery.ts';
import { FrameDelivery } from './frame-delivery.ts';
import { PortDelivery } from './port-delivery.ts';
import { outcomeOf, StatusError } from './status.ts';
import type { Outcome } from './types.ts';

/**
 * Sends what a call sends, in order: headers, messages, status. A window of messages may be on their way and not
 * be taken by HTTP/2 yet, so that it sends many at once: a client that does not read fills that window.
 */
export class Wire implements Owner {
  /** Tells the sizes of messages that others encode. */
  serialize: Serialize | undefined;
  /** None before the first message. */
  private delivery: Delivery | undefined;
  private last: WireStatus | undefined;
  private concluded = false;
  private closed = false;
  private timer: NodeJS.Timeout | undefined;
  private readonly below: Below;

  constructor(
    private readonly port: Port,
    readonly writer: Writer,
  ) {
    this.below = lookBelow(port.link);
  }

  /** Whether one more message may be pulled. */
  get room(): boolean {
    return this.delivery === undefined || this.delivery.room;
  }

  /** Whether there is nobody between a call and grpc-js. */
  get direct(): boolean {
    return this.below.direct;
  }

  /** What the RPC of this call goes by. */
  get identity(): object | undefined {
    return this.port.identity ?? this.below.identity;
  }

  /** Whether everything was taken. */
  get idle(): boolean {
    return this.delivery === undefined || this.delivery.idle;
  }

  get pendingBytes(): number {
    return this.delivery?.pendingBytes ?? 0;
  }

  get takenAt(): number | undefined {
    return this.delivery?.takenAt;
  }

  header(metadata: Metadata): void {
    if (!this.closed) this.port.header(metadata);
  }

  message(message: unknown): void {
    if (this.closed || this.last) {
      counts.lateMessages += 1;
      return;
    }
    this.delivery ??= this.choose();
    this.delivery.message(message);
  }

  private choose(): Delivery {
    const outlet = this.below.outlet();
    return outlet
      ? new FrameDelivery(outlet, this)
      : new PortDelivery(this.port, this.below, this, this.serialize);
  }

  /** Sends the status after everything before it; `atOnce` when nobody may be there to take that. */
  status(last: WireStatus, atOnce: boolean): void {
    if (this.closed || this.last) return;
    if (atOnce) this.delivery?.flush();
    this.last = last;
    if (this.idle || (atOnce && !this.delivery?.held)) this.conclude(last);
  }

  progressed(): void {
    if (this.closed) return;
    if (this.last && this.idle) this.conclude(this.last);
    else this.writer.woken();
  }

  givenUp(): void {
    this.writer.broken(this.verdict());
  }

  fail(code: status, what: string, index: number, cause?: unknown): void {
    const message = `the message at index ${index} of ${this.writer.path} ${what}`;
    this.writer.broken(outcomeOf(new StatusError(code, message, { cause })));
  }

  /** Gives a client the grace to take what is on its way; one that takes nothing is cut off. */
  expire(code: status): void {
    if (this.idle || this.below.over()) return;
    const pending = this.pendingBytes;
    this.timer = setTimeout(() => {
      if (this.pendingBytes < pending) this.expire(code);
      else if (!this.idle) this.reset(code);
    }, this.writer.settings.cleanupGraceMs);
    this.timer.unref();
  }

  /** Nothing can be sent any more. */
  close(): void {
    this.closed = true;
    // grpc-js may say so before a client that takes nothing has taken the status.
    if (this.below.over()) clearTimeout(this.timer);
    this.delivery?.close();
  }

  /** Whether the connection of this call is one of a server's; taken to be when that cannot be known. */
  belongsTo(server: object): boolean {
    return this.port.belongsTo?.(server) ?? this.below.belongsTo(server);
  }

  /** Tells a client that takes no status how this call ended, and lets go of what it did not take. */
  reset(code: status): void {
    this.below.reset(code);
  }

  /** The deadline as it was meant, as far as that shows: one that a timer cannot hold may arrive as one long past. */
  deadline(expiresAt: number): number {
    if (expiresAt > Date.now() - IMPOSSIBLY_LATE_MS) return expiresAt;
    this.below.disarm();
    return Number.POSITIVE_INFINITY;
  }

  /** How a call ended that was not ended here: by the client, by its connection, or by grpc-js itself. */
  verdict(): Outcome {
    const sent = this.below.sentStatus();
    const late = Date.now() >= this.writer.expiresAt - DEADLINE_SLACK_MS;
    if (sent === status.DEADLINE_EXCEEDED || (sent === undefined && late)) return DEADLINE_EXCEEDED;
    if (sent !== undefined || this.below.endedItself())
      return { code: sent ?? status.INTERNAL, details: 'ended by grpc-js', reason: 'error' };
    if (this.below.disconnected())
      return { code: status.CANCELLED, details: 'connection lost', reason: 'disconnected' };
    return { code: status.CANCELLED, details: 'cancelled by the client', reason: 'cancelled' };
  }

  private conclude(last: WireStatus): void {
    if (this.concluded) return;
    this.concluded = true;
    this.port.status(last);
  }
}

export const DEADLINE_EXCEEDED: Outcome = {
  code: status.DEADLINE_EXCEEDED,
  details: 'Deadline exceeded',
  reason: 'deadline',
};

/** A call whose deadline passed this long ago would not have been started. */
const IMPOSSIBLY_LATE_MS = 60_000;

/** A client's own timer may reset an expired call some milliseconds before its deadline is due here. */
const DEADLINE_SLACK_MS = 25;
