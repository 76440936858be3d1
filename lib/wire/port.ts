import type { Metadata, status } from '@grpc/grpc-js';
import type { Identity, WireStatus } from '../rpc.ts';
import type { Settings } from '../settings.ts';
import type { Tally } from '../stats.ts';
import type { ConnectionInfo, Kind, Outcome } from '../types.ts';

export type { Identity, WireStatus };

/**
 * A transport, as one call sees it: HTTP/2 under grpc-js is one, the response to a browser or a test is another. It
 * opens the way of messages, takes headers and status, says how the far side ended the call, resets, and knows whose
 * it is.
 */
export interface Port {
  /** By which all mounts of an RPC find its record; `undefined` where there can be only one mount. */
  readonly identity: Identity | undefined;
  /** Whether nobody lies between a call and its transport. */
  readonly direct: boolean;
  /** Whether the far side is gone, so that there is nothing to be reset any more. */
  readonly over: boolean;
  /** Where the connection comes from, and where it ends. */
  readonly connectionInfo: ConnectionInfo;
  /** The deadline as it was meant, in milliseconds since the epoch, as far as that shows. */
  deadline(expiresAt: number): number;
  header(metadata: Metadata): void;
  /** Opens the way of messages; once per call, when the headers went. */
  open(carrier: Carrier): Delivery;
  status(last: WireStatus): void;
  /** How the far side ended a call that we did not end; `late` when its deadline has passed. */
  verdict(late: boolean): Outcome;
  /** Tells a client that takes no status how the call ended, and lets go of what it did not take. */
  reset(code: status): void;
  /** Whether the call is one of this server's; taken to be when that cannot be known. */
  belongsTo(server: object): boolean;
}

/** Encodes a message, without its frame. */
export type Serialize = (message: unknown) => Uint8Array;

/** A call, as the wire and what delivers its messages see it. */
export interface Sender {
  readonly path: string;
  readonly kind: Kind;
  readonly settings: Settings;
  /** The deadline, in milliseconds since the epoch, or Infinity. */
  readonly expiresAt: number;
  /** Set when somebody wants the call to be counted. */
  readonly counted: Tally | undefined;
  /** There is room again, or everything was taken. */
  wireMoved(): void;
  /** The call can send no more; `told` when the developer need not hear of it any more. */
  wireFailed(outcome: Outcome, told?: boolean): void;
}

/** The wire, as what delivers its messages sees it. */
export interface Carrier {
  readonly sender: Sender;
  /** There is room again, or everything was taken. */
  progressed(): void;
  /** The message at this index cannot be sent. */
  fail(code: status, what: string, index: number, cause?: unknown): void;
  /** The stream was ended by somebody else: by grpc-js itself, or by its client. */
  givenUp(): void;
}

/** How messages get to the far side, with a window of those that it has not taken yet. */
export interface Delivery {
  /** Whether one more message may be pulled. */
  readonly room: boolean;
  /** Whether everything was taken. */
  readonly idle: boolean;
  /** Whether somebody on the way has a message, which nothing may follow. */
  readonly held: boolean;
  /** Whether what was not taken is so little that a status may go right behind it. */
  readonly brief: boolean;
  /** How many bytes were handed over and not taken, as far as that is known. */
  readonly pendingBytes: number;
  /** When something was last taken, also a part of a message, by `performance.now()`. */
  readonly takenAt: number | undefined;
  /** Takes a message; a message beyond the window waits here. */
  message(message: unknown): void;
  /** Lets everything go that waits here: the status comes next, and perhaps nobody is there to take messages. */
  flush(): void;
  /** Nothing can be sent any more. */
  close(): void;
}

/** How messages are encoded. */
export interface Encoding {
  readonly serialize: Serialize;
  /** Of messages that are texts, with a framing of their own: the text of what `serialize` makes the bytes of. */
  readonly text?: ((message: unknown) => string) | undefined;
}

/** Where frames may be written. */
export interface Outlet extends Encoding {
  /** How large an encoded message may be, in bytes. */
  readonly maxBytes: number;
  /** The stream was ended by somebody else: a write would break it, and lose the status. */
  readonly ended: boolean;
  /** `taken` is called when the far side has room for as much again. */
  write(frames: Buffer, taken: (error?: Error | null) => void): void;
  /** So many messages were taken. */
  sent(messages: number): void;
}
