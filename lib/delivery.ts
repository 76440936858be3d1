import type { Metadata, status } from '@grpc/grpc-js';
import type { Settings } from './options.ts';
import type { Stats } from './stats.ts';
import type { Outcome } from './types.ts';

/** What grpc-js is told at the end of a call. */
export interface WireStatus {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

/** Where grpc-js takes what a call sends: its call object, or the next link of a chain of interceptors. */
export interface Port {
  readonly link: unknown;
  /** What the RPC goes by, where the link does not tell. */
  readonly identity?: object | undefined;
  header(metadata: Metadata): void;
  message(message: unknown, ack: () => void): void;
  status(status: WireStatus): void;
  /** Whether what is below is a call of this server, where the link does not tell. */
  belongsTo?(server: object): boolean;
}

/** Encodes a message, without its frame. */
export type Serialize = (message: unknown) => Uint8Array;

/** Whoever writes to the wire. */
export interface Writer {
  readonly path: string;
  readonly settings: Settings;
  /** The deadline, in milliseconds since the epoch, or Infinity. */
  readonly expiresAt: number;
  /** Set when somebody wants the call to be counted. */
  readonly counted: Stats | undefined;
  /** There is room again, or everything was taken. */
  woken(): void;
  /** The call can send no more. */
  broken(outcome: Outcome): void;
}

/** The wire, as what delivers its messages sees it. */
export interface Owner {
  readonly writer: Writer;
  /** There is room again, or everything was taken. */
  progressed(): void;
  /** The message at this index cannot be sent. */
  fail(code: status, what: string, index: number, cause?: unknown): void;
  /** The stream was ended by somebody else: by grpc-js itself, or by its client. */
  givenUp(): void;
}

/** How messages get to HTTP/2, with a window of those that it has not taken yet. */
export interface Delivery {
  /** Whether one more message may be pulled. */
  readonly room: boolean;
  /** Whether everything was taken. */
  readonly idle: boolean;
  /** Whether somebody between here and HTTP/2 has a message, which nothing may follow. */
  readonly held: boolean;
  /** How many bytes were handed over and not taken, as far as that is known. */
  readonly pendingBytes: number;
  /** When HTTP/2 last took something, also a part of a message, by `performance.now()`. */
  readonly takenAt: number | undefined;
  /** Takes a message; one that goes beyond the window waits here. */
  message(message: unknown): void;
  /** Lets everything go that waits here: the status comes next, and nobody may be there to take that. */
  flush(): void;
  /** Nothing can be sent any more. */
  close(): void;
}
