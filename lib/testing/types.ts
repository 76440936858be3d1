import type { Metadata } from '@grpc/grpc-js';
import type { AuthContext, Kind, Middleware, Outcome } from '../types.ts';

/** What the client of a test sends, and how it behaves. */
export interface TestOptions {
  /**
   * What kind of method is called. Where clients stream, the request is an iterable of what is sent, which is pulled as
   * the method reads, and one that throws is a client that leaves.
   * @default 'serverStream'
   */
  readonly kind?: Kind;
  /** What the client sends beside the request. */
  readonly metadata?: Metadata;
  /** When the client stops waiting: a date, or milliseconds since the epoch. */
  readonly deadline?: Date | number;
  /**
   * The client cancels when it has this many messages; 0 is before the first. Minimum 0.
   * @default never
   */
  readonly cancelAfter?: number;
  /**
   * The client stops reading when it has this many messages, and stays. Minimum 0.
   * @default never
   */
  readonly stallAfter?: number;
  /**
   * How long the client takes for a message, in milliseconds. Minimum 0.
   * @default 0
   */
  readonly slowByMs?: number;
  /** What the source is mounted with; a handler that `produce` or `wrap` made brings its own. */
  readonly middleware?: readonly Middleware[];
  /** Encodes messages, as `mount` would: what cannot be encoded fails, and sizes are known. */
  readonly serialize?: (message: any) => Uint8Array;
  /**
   * How long to wait for the source to finish once the call is over, in milliseconds. Minimum 0.
   * @default 100
   */
  readonly graceMs?: number;
  /**
   * The full name of the method that is called.
   * @default '/leat.testing/Call'
   */
  readonly path?: string;
  /**
   * Where the client calls from.
   * @default '127.0.0.1:50000'
   */
  readonly peer?: string;
  /**
   * The certificate of the client.
   * @default {}
   */
  readonly authContext?: AuthContext;
}

/** Options of a call of this kind. */
export type OfKind<K extends Kind> = TestOptions & { readonly kind: K };

/** What a client streams. */
export type Sent<Req> = Iterable<Req> | AsyncIterable<Req>;

/** One call, when it is over. */
export interface Collected<Res> {
  /** What the client has got, in order. */
  readonly messages: Res[];
  /** The headers; `undefined` when none were sent. */
  readonly header: Metadata | undefined;
  /** The trailers; empty when the client was gone. */
  readonly trailer: Metadata;
  /** How the call ended; the original of an unknown error is its `cause`. */
  readonly outcome: Outcome;
  /** Whether the source has finished, its `finally` included, or was never started. */
  readonly finished: boolean;
}

/** A call in progress, with the client's side of it in hand. */
export interface TestCall<Res> {
  /** What the client has got so far. */
  readonly messages: readonly Res[];
  /** The client stops reading: back-pressure. */
  pause(): void;
  /** It reads again. */
  resume(): void;
  /** It leaves. */
  cancel(): void;
  /** Settles when the call is over. Rejects only with a TypeError, when something among the requests was none. */
  readonly result: Promise<Collected<Res>>;
}
