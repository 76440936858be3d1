import { type ClientReadableStream, Metadata, type StatusObject, status } from '@grpc/grpc-js';

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
  readonly endedAt: number | undefined;
  /** Messages read so far. */
  readonly messages: number;
  /** The server's headers. */
  readonly header: Metadata | undefined;
  /** How it ended, with its trailers in `status.metadata`; `undefined` while it runs, and when we left it. */
  readonly status: StatusObject | undefined;
}

/**
 * An attempt and its stream, read only on demand, which is what lets flow control reach the server. Listens
 * for `error` for good: a cancelled stream still emits one.
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
  /** Whether its deadline is one of our own making, shorter than the subscription's. */
  renewable = false;
  /** The error as grpc-js raised it. */
  error: Error | undefined;
  private stream: ClientReadableStream<Res> | undefined;
  private wake: (() => void) | undefined;
  /** Whether the RPC itself has ended; a stalled one has not. */
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
    stream.on('metadata', (header: Metadata) => {
      this.header = header;
      this.openedAt = Date.now();
      onHeader();
    });
    stream.on('error', (error: Error & Partial<StatusObject>) => {
      const { code = status.UNKNOWN, details = error.message, metadata = new Metadata() } = error;
      this.over = true;
      this.finish({ code, details, metadata }, error);
    });
    stream.on('status', (status: StatusObject) => {
      this.over = true;
      this.finish(status);
    });
    stream.on('readable', this.notify);
  }

  /** Whether there is, or may be, something to read: it has not ended, or not all of it is read, or we left it. */
  get live(): boolean {
    return this.stream !== undefined && (this.status === undefined || this.stream.readableLength > 0);
  }

  /** The next message that is here, or `null`. */
  read(): Res | null {
    const message: Res | null = this.stream?.read() ?? null;
    if (message !== null) this.messages += 1;
    return message;
  }

  /** Settles when there may be something to read, or the end. */
  async wait(stallMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const woken = new Promise<void>(resolve => {
      this.wake = resolve;
    });
    if (stallMs !== Infinity) timer = setTimeout(() => this.stall(stallMs), stallMs);
    await woken;
    this.wake = undefined;
    clearTimeout(timer);
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
    }
    this.notify();
  }

  private readonly notify = (): void => this.wake?.();
}
