import { type ApiError, JetStreamApiError, PubHeaders } from '@nats-io/jetstream';
import {
  createInbox,
  type Msg,
  MsgHdrsImpl,
  type NatsConnection,
  nuid,
  type Subscription,
} from '@nats-io/transport-node';
import { show } from '../check.ts';
import { forget } from '../hooks.ts';
import { after, type Timer } from '../timers.ts';
import { failureOf, isPassing, NobodyError, OtherError, SilentError } from './failure.ts';
import { isBefore } from './version.ts';

/** How long NATS may take to acknowledge before the same is sent again, in milliseconds. */
const ATTEMPT_MS = 1000;
const PAUSE_MS = 50;
/** Before this, mirrors leave out what says for which stream it is. */
const EXPECTS_FROM = [2, 11, 5];

/** A message that is not acknowledged yet. */
interface Sending {
  readonly subject: string;
  readonly payload: Uint8Array | string;
  readonly id: string;
  /** When it is given up. */
  readonly until: number;
  /** When it was sent last. */
  at: number;
  /** When that was sent which NATS may have stored; nothing while it has stored none. */
  since: number | undefined;
  /** When NATS has taken too long, or may be asked again. */
  due: number;
  /** Why it is to be sent again; nothing while NATS is asked. */
  failed: unknown;
  readonly resolve: (sequence: number) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Stores messages, each once, however often it has to be sent: every attempt has the same id, which NATS knows
 * again within the stream's `duplicate_window`. One subscription and one timer do for all that are on their way.
 */
export class Publisher {
  private readonly sending: Map<number, Sending> = new Map();
  private readonly inbox: string;
  /** One for all, since it is encoded when it is sent. */
  private readonly headers: MsgHdrsImpl = new MsgHdrsImpl();
  /** Subjects that are asked for. */
  private readonly looking: Set<string> = new Set();
  private acks: Subscription | undefined;
  private last = 0;
  private timer: Timer | undefined;
  private timerDue = Infinity;
  private closed = false;
  /** Of the NATS that the headers are made for. */
  private info: NatsConnection['info'];
  /** For how long NATS knows an id again, in milliseconds: what is sent again later might be stored twice. */
  windowMs: number = Infinity;

  constructor(
    private readonly nc: NatsConnection,
    private readonly stream: string,
    /** Answers why nobody may take a subject, once that is certain. */
    private readonly untaken: (subject: string) => Promise<unknown>,
    inboxPrefix?: string,
  ) {
    this.inbox = `${createInbox(inboxPrefix)}.`;
  }

  /**
   * Resolves with the number that a message has in the stream.
   *
   * @throws StatusError that says why it is not stored, or UNAVAILABLE when nobody knows.
   */
  publish(
    subject: string,
    payload: Uint8Array | string,
    { id = nuid.next(), timeoutMs }: { id?: string | undefined; timeoutMs: number },
  ): Promise<number> {
    return new Promise((resolve, reject) => {
      const until = performance.now() + timeoutMs;
      const sending: Sending = {
        subject,
        payload,
        id,
        until,
        at: 0,
        since: undefined,
        due: 0,
        failed: undefined,
        resolve,
        reject,
      };
      const number = ++this.last;
      this.sending.set(number, sending);
      this.send(number, sending);
    });
  }

  /** What is on its way may be lost: sends it again, unless it is hopeless. */
  broke(error: Error): void {
    for (const [number, sending] of this.sending) this.failed(number, sending, error);
  }

  /** NATS did not allow to publish to a subject: it says so beside the message, which is never acknowledged. */
  denied(subject: string, error: Error): void {
    for (const [number, sending] of this.sending)
      if (sending.subject === subject) this.failed(number, sending, error);
  }

  /** Lets go of the connection, once nothing is on its way. */
  close(): void {
    this.closed = true;
    this.rest();
  }

  private send(number: number, sending: Sending): void {
    const { subject, payload, id } = sending;
    sending.at = performance.now();
    const next = sending.at + ATTEMPT_MS;
    sending.due = next < this.lastOf(sending, sending.at) ? next : sending.until;
    sending.failed = undefined;
    try {
      this.acks ??= this.nc.subscribe(`${this.inbox}*`, { callback: (error, ack) => this.heard(error, ack) });
      // What `set` checks of a name and a value is known of these.
      this.headers.headers.set(PubHeaders.MsgIdHdr, [id]);
      if (this.nc.info !== this.info) this.expect();
      this.nc.publish(subject, payload, { headers: this.headers, reply: this.inbox + number });
      this.wakeAt(sending.due);
    } catch (error) {
      this.failed(number, sending, error);
    }
  }

  /** Lets no other stream take what is sent, of which this NATS may have been told. */
  private expect(): void {
    this.info = this.nc.info;
    if (isBefore(this.nc, EXPECTS_FROM)) this.headers.delete(PubHeaders.ExpectedStreamHdr);
    else this.headers.set(PubHeaders.ExpectedStreamHdr, this.stream);
  }

  private heard(error: Error | null, ack: Msg): void {
    if (error) {
      this.acks = undefined;
      return this.broke(error);
    }
    const number = Number(ack.subject.slice(this.inbox.length));
    const sending = this.sending.get(number);
    if (sending === undefined) return;
    try {
      sending.resolve(sequenceOf(ack, this.stream));
      this.settled(number);
    } catch (error) {
      this.failed(number, sending, error);
      if (error instanceof NobodyError) void this.lookFor(sending.subject);
    }
  }

  /** Nobody took what was published to a subject: NATS begins, or it is in vain. Asks once for all. */
  private async lookFor(subject: string): Promise<void> {
    if (this.looking.has(subject)) return;
    this.looking.add(subject);
    const why = await this.untaken(subject);
    this.looking.delete(subject);
    if (why === undefined) return;
    for (const [number, sending] of this.sending)
      if (sending.subject === subject && sending.failed instanceof NobodyError)
        this.failed(number, sending, why);
  }

  private failed(number: number, sending: Sending, error: unknown): void {
    const now = performance.now();
    if (!(error instanceof NobodyError)) sending.since ??= sending.at;
    if (isPassing(error) && now + PAUSE_MS < this.lastOf(sending, now)) {
      sending.failed = error;
      sending.due = now + PAUSE_MS;
      return this.wakeAt(sending.due);
    }
    sending.reject(failureOf(error, `cannot publish to \`${sending.subject}\` of stream \`${this.stream}\``));
    this.settled(number);
  }

  /** Until when it may be sent again, if what was sent may be stored since a time. */
  private lastOf({ since, until }: Sending, otherwise: number): number {
    return Math.min(until, (since ?? otherwise) + this.windowMs);
  }

  private settled(number: number): void {
    this.sending.delete(number);
    if (this.closed) this.rest();
  }

  private rest(): void {
    if (this.sending.size > 0) return;
    this.timer?.stop();
    if (!this.nc.isClosed()) this.acks?.unsubscribe();
    this.acks = undefined;
  }

  private wakeAt(due: number): void {
    if (due >= this.timerDue) return;
    this.timer?.stop();
    this.timerDue = due;
    this.timer = after(Math.max(1, due - performance.now()), () => this.look()).unref();
  }

  /** Sends again what is due, or gives it up. */
  private look(): void {
    this.timerDue = Infinity;
    const now = performance.now();
    for (const [number, sending] of this.sending) {
      if (sending.due > now) this.wakeAt(sending.due);
      else if (sending.failed !== undefined) this.send(number, sending);
      else this.failed(number, sending, new SilentError());
    }
  }
}

/** What NATS answers when it has stored a message, or why it did not, or not in this stream. */
function sequenceOf(ack: Msg, expected: string): number {
  if (ack.data.length === 0 && ack.headers?.code === 503) throw new NobodyError();
  const { seq, stream, error } = ack.json<{ seq?: unknown; stream?: unknown; error?: ApiError }>();
  if (error) throw new JetStreamApiError(error);
  if (typeof stream === 'string' && stream !== expected) throw new OtherError(stream);
  if (typeof seq !== 'number') throw new Error(`not an acknowledgement of JetStream: ${ack.string()}`);
  return seq;
}

/** @throws TypeError when it is no payload. */
export function checkPayload(payload: unknown): Uint8Array | string {
  if (typeof payload === 'string' || payload instanceof Uint8Array) return payload;
  forget(payload);
  throw new TypeError(`Expected \`encode()\` to return bytes or a string, got ${show(payload)}`);
}
