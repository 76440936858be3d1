import type { JsMsg } from '@nats-io/jetstream';
import { answerOf, isMessage } from '../hooks.ts';
import { tokenOf } from './position.ts';

/** What JetStream knows of a message. */
export interface Stored {
  /** Its number in the stream. */
  readonly sequence: number;
  /** What a client sends back to go on after it: `sequence-milliseconds`. */
  readonly token: string;
  /** When NATS stored it. */
  readonly time: Date;
  /** What it was published to. */
  readonly subject: string;
}

/** A message as `decode` sees it: what not every codec reads is made when it is read. */
export class StoredMessage implements Stored {
  readonly sequence: number;
  readonly ms: number;
  readonly subject: string;
  /** Its number among those that its consumer was sent. */
  readonly delivery: number;
  /** How many waited behind it. */
  readonly pending: number;
  /** A message of NATS cuts it out anew each time that it is asked. */
  readonly data: Uint8Array;

  /**
   * What NATS says of a message that it sends is in its reply: `$JS.ACK`, a domain and an account unless NATS is old,
   * stream and consumer, how often it was sent, and these numbers. `info` reads the same, at three times the price.
   * @see https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-15.md
   */
  constructor(message: JsMsg & { readonly reply?: string }) {
    const { data, reply, subject } = message;
    this.data = data;
    this.subject = subject;
    if (reply === undefined) {
      const { streamSequence, deliverySequence, timestampNanos, pending } = message.info;
      this.sequence = streamSequence;
      this.delivery = deliverySequence;
      this.ms = Math.floor(timestampNanos / 1e6);
      this.pending = pending;
    } else {
      const first = placeDots(reply) === OLD_DOTS ? 4 : 6;
      this.sequence = numberIn(reply, first);
      this.delivery = numberIn(reply, first + 1);
      this.ms = numberIn(reply, first + 2, NANO_DIGITS);
      this.pending = numberIn(reply, first + 3);
    }
  }

  get token(): string {
    return tokenOf(this.sequence, this.ms);
  }

  get time(): Date {
    return new Date(this.ms);
  }
}

/** Makes an item of the bytes of a message; what it throws makes that message poison. */
export type Decode<T> = (bytes: Uint8Array, stored: Stored) => T;

/** Says in a header why NATS wrote a message: the last one of its subject went. */
const MARKER = 'Nats-Marker-Reason';

/** Whether a message is NATS's own, which it stores in streams with `subject_delete_marker_ttl`. */
export function isMarker(message: Pick<JsMsg, 'headers'>, { data }: StoredMessage): boolean {
  // Headers are parsed when they are looked at.
  return data.length === 0 && message.headers?.has(MARKER) === true;
}

/** The item of a message; throws what makes it poison. */
export function itemOf<T>(decode: Decode<T>, stored: StoredMessage): T {
  return answerOf(
    'decode',
    'an item',
    decode(stored.data, stored),
    isMessage as (item: unknown) => item is T & {},
  );
}

const DOT = 46;
const ZERO = 48;
/** How many there are in the reply of a NATS that knows no domains. */
const OLD_DOTS = 8;
/** How many digits of a time in nanoseconds are not of its milliseconds. */
const NANO_DIGITS = 6;

/** Where the dots are in the reply that is read, and its end. */
const places = new Int32Array(16);

/** Answers how many there are. */
function placeDots(reply: string): number {
  let dots = 0;
  for (let at = 0; at < reply.length; at++) if (reply.charCodeAt(at) === DOT) places[dots++] = at;
  places[dots] = reply.length;
  return dots;
}

/** The number behind a dot, without so many of its digits. */
function numberIn(reply: string, dot: number, without = 0): number {
  const end = (places[dot + 1] as number) - without;
  let number = 0;
  for (let at = (places[dot] as number) + 1; at < end; at++)
    number = 10 * number + reply.charCodeAt(at) - ZERO;
  return number;
}
