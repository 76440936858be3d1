import { type ClientReadableStream, Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { isMetadata } from '../check.ts';
import { isErrorCode } from '../status/status.ts';
import { after, type Timer } from '../timers.ts';

/** One RPC of a subscription. */
export interface Attempt<Token = unknown> {
  /** Counts from 1, over the whole subscription. */
  readonly number: number;
  /** How many attempts failed in a row before this one. */
  readonly retry: number;
  /** After which message it was to go on; `undefined` for the beginning. */
  readonly token: Token | undefined;
  /** When it was started, in milliseconds since the epoch. */
  readonly startedAt: number;
  /** When the server's headers came, in milliseconds since the epoch. */
  readonly openedAt: number | undefined;
  /** When it was over, in milliseconds since the epoch; `undefined` while it runs. */
  readonly endedAt: number | undefined;
  /** Messages read so far. */
  readonly messages: number;
  /** The server's headers. */
  readonly header: Metadata | undefined;
  /** How it ended, with its trailers in `status.metadata`; `undefined` while it runs, and when we left it. */
  readonly status: StatusObject | undefined;
}

/** Timers and clocks agree to within this: a deadline that passed a little early has passed. */
export const SLACK_MS = 25;

/**
 * An attempt and its stream, read only on demand, which is what lets flow control reach the server. Listens
 * for `error` for good: a cancelled stream still emits one. What it says of times is of the wall clock; how
 * long things take is measured with one that nobody sets.
 */
export class LiveAttempt<Res, Token> implements Attempt<Token> {
  readonly startedAt: number = Date.now();
  openedAt: number | undefined;
  endedAt: number | undefined;
  messages = 0;
  header: Metadata | undefined;
  status: StatusObject | undefined;
  /** Whether it brought anything new. */
  fresh = false;
  /** Whether nothing came for too long. */
  stalled = false;
  /** When it was started, by `performance.now()` as all that durations are taken of. */
  readonly started: number = performance.now();
  /** When its deadline passes. */
  expires: number = Infinity;
  /** Since when a server has it, as far as one can know. */
  opened: number | undefined;
  ended: number | undefined;
  /** The error as grpc-js raised it. */
  error: Error | undefined;
  private stream: ClientReadableStream<Res> | undefined;
  private called: number | undefined;
  private wake: (() => void) | undefined;
  /** Whether the RPC itself has ended; a stalled one has not, and neither has one whose stream was destroyed. */
  private over = false;
  private cancelled: Promise<void> | undefined;

  constructor(
    readonly number: number,
    readonly retry: number,
    readonly token: Token | undefined,
  ) {}

  /** @param onHeader called when the headers are here. */
  attach(stream: ClientReadableStream<Res>, onHeader: () => void): void {
    this.stream = stream;
    this.called = performance.now();
    stream.on('metadata', (header: Metadata) => {
      this.header = header;
      this.openedAt = Date.now();
      this.opened = performance.now();
      onHeader();
    });
    stream.on('error', (error: Error) => this.finish(statusOf(error), error));
    // Somebody else who has the stream destroyed it: the RPC goes on, and nothing more comes.
    stream.on('close', () => this.finish(statusOf(new Error('the stream was closed before it ended'))));
    stream.on('status', (status: StatusObject) => {
      this.over = true;
      this.finish(status);
    });
    stream.on('readable', this.notify);
  }

  /** Whether there is, or might be, something to read: it has not ended, or not all of it is read, or we left it. */
  get live(): boolean {
    return this.stream !== undefined && (this.status === undefined || this.stream.readableLength > 0);
  }

  /** The next message that is here, or `null`. */
  read(): Res | null {
    const message: Res | null = this.stream?.read() ?? null;
    if (message !== null) this.messages += 1;
    return message;
  }

  /** Settles when there might be something to read, or the end. */
  async wait(stallMs: number): Promise<void> {
    let patience: Patience | undefined;
    const woken = new Promise<void>(resolve => {
      this.wake = resolve;
    });
    if (stallMs !== Infinity) patience = new Patience(stallMs, () => this.stall(stallMs));
    await woken;
    this.wake = undefined;
    patience?.stop();
  }

  /**
   * Ends the RPC, if it has not ended; nothing more is read of it. Settles when it is done. It waits for the
   * next turn of the event loop, because grpc-js lets a call start that was cancelled before its metadata had
   * passed its filters, and then nobody can cancel it any more.
   */
  async cancel(): Promise<void> {
    const { stream } = this;
    this.stream = undefined;
    this.endedAt ??= Date.now();
    this.notify();
    if (stream === undefined) return this.cancelled;
    stream.off('readable', this.notify);
    if (this.over) return;
    this.cancelled = new Promise(resolve => {
      setImmediate(() => {
        stream.cancel();
        resolve();
      });
    });
    return this.cancelled;
  }

  private stall(stallMs: number): void {
    this.stalled = true;
    const details = `no message for ${stallMs} ms`;
    this.finish({ code: status.UNAVAILABLE, details, metadata: new Metadata() });
  }

  private finish(status: StatusObject, error?: Error): void {
    if (this.status === undefined && this.stream !== undefined) {
      this.status = status;
      this.error = error;
      this.endedAt = Date.now();
      this.ended = performance.now();
      // A server that has nothing to say might send nothing, not even headers.
      if (!this.stalled && reachedServer(this.stream)) this.opened ??= this.called;
    }
    this.notify();
  }

  private readonly notify = (): void => this.wake?.();
}

/** The status that an error tells. One that is not of grpc-js might have anything for a code, such as `ABORT_ERR`. */
function statusOf(error: Error & { [Name in keyof StatusObject]?: unknown }): StatusObject {
  const { code, details, message, metadata } = error;
  return {
    code: isErrorCode(code) ? code : status.UNKNOWN,
    details: typeof details === 'string' ? details : message,
    metadata: isMetadata(metadata) ? metadata : new Metadata(),
  };
}

/** Whether the RPC ever had a connection: only then, and once it has ended, grpc-js knows whose it was. */
function reachedServer(stream: Partial<ClientReadableStream<unknown>>): boolean {
  try {
    return (stream.getAuthContext?.() ?? null) !== null;
  } catch {
    return false;
  }
}

/**
 * Ends after some time of silence. Time in which the event loop was busy is none in which anything could have
 * been heard. How long that was shows in a timer that comes late only as far as it was busy when that was due; so
 * that is added, once, and a quarter of the time at least, and what lies in the sockets by then is read first.
 */
class Patience {
  private timer: Timer | NodeJS.Immediate;

  constructor(ms: number, end: () => void) {
    const due = performance.now() + ms;
    const readFirst = () => {
      this.timer = setImmediate(end);
    };
    this.timer = after(ms, () => {
      this.timer = after(Math.max(performance.now() - due, ms / 4), readFirst);
    });
  }

  stop(): void {
    if ('stop' in this.timer) this.timer.stop();
    else clearImmediate(this.timer);
  }
}
