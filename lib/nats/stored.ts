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

  constructor(message: JsMsg) {
    this.sequence = message.seq;
    this.ms = Math.floor(message.info.timestampNanos / 1e6);
    this.subject = message.subject;
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

/** The item of a message; throws what makes it poison. */
export function itemOf<T>(decode: Decode<T>, message: JsMsg, stored: StoredMessage): T {
  return answerOf(
    'decode',
    'an item',
    decode(message.data, stored),
    isMessage as (item: unknown) => item is T & {},
  );
}
