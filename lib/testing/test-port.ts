import { Metadata, status } from '@grpc/grpc-js';
import { DEADLINE_EXCEEDED } from '../status/status.ts';
import { after, type Timer } from '../timers.ts';
import type { ConnectionInfo, Outcome } from '../types.ts';
import type { Carrier, Delivery, Port, WireStatus } from '../wire/port.ts';

/** How the client of a test behaves. */
export interface ClientOptions<Res> {
  /** How long it takes for each message, in milliseconds. */
  readonly slowByMs: number;
  /** Encodes messages, to know their sizes. */
  readonly serialize: ((message: Res) => Uint8Array) | undefined;
  /** Hears how many messages the client has. */
  took(count: number): void;
}

/** A transport without a connection: its client takes one message at a time, as long as it reads. */
export class TestPort<Res = any> implements Port {
  readonly identity = undefined;
  readonly direct = false;
  readonly connectionInfo: ConnectionInfo = {};
  over = false;
  readonly messages: Res[] = [];
  headers: Metadata | undefined;
  /** Settles when the client has the status. */
  readonly ended: Promise<WireStatus>;
  private end!: (last: WireStatus) => void;
  private delivery: TestDelivery<Res> | undefined;
  paused = false;

  constructor(readonly client: ClientOptions<Res>) {
    this.ended = new Promise(resolve => {
      this.end = resolve;
    });
  }

  /** The client reads on. */
  resume(): void {
    this.paused = false;
    this.delivery?.take();
  }

  deadline(expiresAt: number): number {
    return expiresAt;
  }

  header(metadata: Metadata): void {
    this.headers ??= metadata.clone();
  }

  open(carrier: Carrier): Delivery {
    this.headers ??= new Metadata();
    this.delivery = new TestDelivery(this, carrier);
    return this.delivery;
  }

  status(last: WireStatus): void {
    this.end(last);
  }

  verdict(late: boolean): Outcome {
    if (late) return DEADLINE_EXCEEDED;
    return { code: status.CANCELLED, details: 'cancelled by the client', reason: 'cancelled' };
  }

  reset(): void {
    this.over = true;
  }

  belongsTo(): boolean {
    return false;
  }
}

class TestDelivery<Res> implements Delivery {
  readonly held = false;
  readonly brief = false;
  readonly pendingBytes = 0;
  takenAt: number | undefined;
  private queue: Res[] = [];
  private sent = 0;
  private timer: Timer | undefined;
  private immediate: NodeJS.Immediate | undefined;

  constructor(
    private readonly port: TestPort<Res>,
    private readonly carrier: Carrier,
  ) {}

  get room(): boolean {
    return this.queue.length === 0;
  }

  get idle(): boolean {
    return this.queue.length === 0;
  }

  message(message: unknown): void {
    const { carrier, port } = this;
    const { counted } = carrier.sender;
    let bytes: number | undefined;
    try {
      bytes = port.client.serialize?.(message as Res).length;
    } catch (error) {
      return carrier.fail(status.INTERNAL, 'could not be serialised', this.sent, error);
    }
    this.sent += 1;
    counted?.handed(performance.now());
    counted?.counted(bytes);
    this.queue.push(message as Res);
    if (this.queue.length === 1) this.soon();
  }

  flush(): void {}

  close(): void {
    this.queue = [];
    this.timer?.stop();
    clearImmediate(this.immediate);
  }

  /** The client takes the message that is next. */
  take(): void {
    const { carrier, port, queue } = this;
    if (port.paused || queue.length === 0) return;
    port.messages.push(queue.shift() as Res);
    this.takenAt = performance.now();
    port.client.took(port.messages.length);
    if (queue.length > 0) this.soon();
    else carrier.progressed();
  }

  private soon(): void {
    const { slowByMs } = this.port.client;
    const take = () => this.take();
    if (slowByMs > 0) this.timer = after(slowByMs, take);
    else this.immediate = setImmediate(take);
  }
}
