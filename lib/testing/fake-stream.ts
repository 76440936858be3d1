import { Writable } from 'node:stream';
import { Metadata } from '@grpc/grpc-js';
import type { WireStatus } from '../delivery.ts';

/** What stands for the client and its connection. */
export interface FakeClient {
  readonly path: string;
  readonly peer: string;
  readonly host: string;
  readonly deadline: Date | number;
  readonly metadata: Metadata;
  readonly slowByMs: number;
  /** Hears how many messages the client has. */
  took(count: number): void;
}

/**
 * What grpc-js gives a server-streaming handler, without a connection. The client takes one message at a time,
 * and each is acknowledged when it was taken.
 */
export class FakeStream<Res = any> extends Writable {
  cancelled = false;
  readonly messages: Res[] = [];
  header: Metadata | undefined;
  readonly metadata: Metadata;
  /** Settles when the client has the trailers, if any come. */
  readonly trailer: Promise<Metadata>;
  private arrived!: (trailer: Metadata) => void;
  private last: Partial<WireStatus> = {};
  private waiting: { readonly message: Res; readonly ack: () => void } | undefined;
  private timer: NodeJS.Timeout | undefined;
  private paused = false;

  constructor(
    readonly request: unknown,
    private readonly client: FakeClient,
  ) {
    super({ objectMode: true });
    this.metadata = client.metadata.clone();
    this.trailer = new Promise(resolve => {
      this.arrived = resolve;
    });
    this.on('error', (error: Partial<WireStatus>) => {
      this.last = error;
      this.end();
    });
  }

  /** From now on the client takes nothing. */
  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.take();
  }

  cancel(): void {
    clearTimeout(this.timer);
    this.waiting = undefined;
    this.close();
  }

  /** The call is over: a client that takes nothing is not waited for. */
  abandon(): void {
    if (!this.paused) return;
    const { waiting } = this;
    this.waiting = undefined;
    if (waiting) setImmediate(waiting.ack);
  }

  getPath = (): string => this.client.path;
  getPeer = (): string => this.client.peer;
  getHost = (): string => this.client.host;
  getDeadline = (): Date | number => this.client.deadline;
  getAuthContext = (): object => ({});
  getMetricsRecorder = (): object => ({});

  sendMetadata(metadata: Metadata): void {
    this.header ??= metadata.clone();
  }

  override _write(message: Res, _encoding: string, ack: () => void): void {
    this.header ??= new Metadata();
    this.waiting = { message, ack };
    const take = () => this.take();
    if (this.client.slowByMs > 0) this.timer = setTimeout(take, this.client.slowByMs);
    else setImmediate(take);
  }

  override _final(done: () => void): void {
    done();
    this.arrived(this.last.metadata ?? new Metadata());
    setImmediate(() => this.close());
  }

  override end(metadata?: any): this {
    if (metadata instanceof Metadata) this.last = { ...this.last, metadata };
    return super.end();
  }

  private take(): void {
    const { waiting } = this;
    if (this.paused || this.cancelled || waiting === undefined) return;
    this.waiting = undefined;
    this.messages.push(waiting.message);
    this.client.took(this.messages.length);
    if (!this.cancelled) waiting.ack();
  }

  /** grpc-js says `cancelled` at the end of every call, also of one that went well. */
  private close(): void {
    if (this.cancelled) return;
    this.cancelled = true;
    this.emit('cancelled', 'cancelled');
  }
}
