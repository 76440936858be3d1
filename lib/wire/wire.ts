import type { Metadata, status } from '@grpc/grpc-js';
import { counts } from '../counters.ts';
import { outcomeOf, StatusError } from '../status/status.ts';
import { after, type Timer } from '../timers.ts';
import type { ConnectionInfo, Outcome } from '../types.ts';
import type { Carrier, Delivery, Identity, Port, Sender, WireStatus } from './port.ts';

/**
 * Sends what a call sends, in order: headers, messages, status. A window of messages may be on their way and not
 * be taken by HTTP/2 yet, so that it sends many at once: a client that does not read fills that window.
 */
export class Wire implements Carrier {
  /** None before the first message. */
  private delivery: Delivery | undefined;
  private last: WireStatus | undefined;
  private concluded = false;
  private closed = false;
  private timer: Timer | undefined;

  constructor(
    private readonly port: Port,
    readonly sender: Sender,
  ) {}

  /** Whether one more message may be pulled. */
  get room(): boolean {
    return this.delivery === undefined || this.delivery.room;
  }

  /** Whether nobody lies between a call and its transport. */
  get direct(): boolean {
    return this.port.direct;
  }

  /** What the RPC of this call goes by. */
  get identity(): Identity | undefined {
    return this.port.identity;
  }

  get connectionInfo(): ConnectionInfo {
    return this.port.connectionInfo;
  }

  /** Whether everything was taken. */
  get idle(): boolean {
    return this.delivery === undefined || this.delivery.idle;
  }

  /** Whether a status may go right behind what was not taken. */
  get brief(): boolean {
    return this.delivery?.brief === true;
  }

  /** Whether the status went, and nothing is waited for: it does not matter any more when the far side leaves. */
  get done(): boolean {
    return this.concluded && this.timer === undefined;
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
    this.delivery ??= this.port.open(this);
    this.delivery.message(message);
  }

  /** Sends the status after everything before it; `atOnce` when perhaps nobody is there to take that. */
  status(last: WireStatus, atOnce: boolean): void {
    if (this.closed || this.last) return;
    if (atOnce) this.delivery?.flush();
    this.last = last;
    if (this.idle || (atOnce && !this.delivery?.held)) this.conclude(last);
  }

  progressed(): void {
    if (this.closed) return;
    if (this.last && this.idle) this.conclude(this.last);
    else this.sender.wireMoved();
  }

  givenUp(): void {
    this.sender.wireFailed(this.verdict());
  }

  fail(code: status, what: string, index: number, cause?: unknown): void {
    const message = `the message at index ${index} of ${this.sender.path} ${what}`;
    this.sender.wireFailed(outcomeOf(new StatusError(code, message, { cause })));
  }

  /** Gives a client the grace to take what is on its way; one that takes nothing is cut off. */
  expire(code: status): void {
    if (this.idle || this.port.over) return;
    const pending = this.pendingBytes;
    this.timer = after(this.sender.settings.cleanupGraceMs, () => {
      if (this.pendingBytes < pending) this.expire(code);
      else if (!this.idle) this.reset(code);
    }).unref();
  }

  /** Nothing can be sent any more. */
  close(): void {
    this.closed = true;
    // The timer stays while the transport is there: a client that takes nothing has not taken the status yet.
    if (this.port.over) this.timer?.stop();
    this.delivery?.close();
  }

  /** Whether the connection of this call is one of a server's; taken to be when that cannot be known. */
  belongsTo(server: object): boolean {
    return this.port.belongsTo(server);
  }

  /** Tells a client that takes no status how this call ended, and lets go of what it did not take. */
  reset(code: status): void {
    this.port.reset(code);
  }

  deadline(expiresAt: number): number {
    return this.port.deadline(expiresAt);
  }

  /** How the far side ended a call that we did not end. */
  verdict(): Outcome {
    return this.port.verdict(Date.now() >= this.sender.expiresAt - DEADLINE_SLACK_MS);
  }

  private conclude(last: WireStatus): void {
    if (this.concluded) return;
    this.concluded = true;
    this.port.status(last);
  }
}

/** A client's own timer might reset an expired call some milliseconds before its deadline is due here. */
const DEADLINE_SLACK_MS = 25;
