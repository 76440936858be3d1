import type { Call } from './types.ts';

/** Hears of errors that no client may read. */
export type ErrorHook = (error: unknown, call: Call) => void;

/** How the calls under one mount are delivered, and where their errors go. */
export interface ConfigureOptions {
  /**
   * How many messages may be handed to HTTP/2 and not yet be taken by it. More is faster until some hundreds;
   * it also bounds how long one source that never waits holds the event loop. Minimum 1.
   * @default 256
   */
  readonly maxUnackedMessages?: number;
  /**
   * How many bytes of messages may be handed to HTTP/2 and not yet be taken by it. A single message that is
   * larger goes alone. Minimum 1.
   * @default 131072
   */
  readonly maxUnackedBytes?: number;
  /**
   * How long a source, and what it returned, may take to finish once its call is over before it is reported as an
   * orphan, and a client to take the status of a call that was ended before its stream is reset; in milliseconds.
   * Minimum 0.
   * @default 1000
   */
  readonly cleanupGraceMs?: number;
  /** Hears of every error that no client may read. Prints to the console unless set. */
  readonly onError?: ErrorHook;
  /** Hears of each source that had not finished in time. Prints the first of each method unless set. */
  readonly onOrphan?: (call: Call) => void;
}

export type Settings = Required<ConfigureOptions>;

/** Those of them that hear of something. */
export type Hooks = Pick<ConfigureOptions, 'onError' | 'onOrphan'>;
