import { Duplex, Writable } from 'node:stream';
import type { Metadata } from '@grpc/grpc-js';
import { carryBy } from '../grpc-js/ports.ts';
import type { AuthContext } from '../types.ts';
import type { TestPort } from './test-port.ts';

/** What a test knows of its client beforehand. */
export interface TestOrigin {
  readonly path: string;
  readonly peer: string;
  readonly deadline: Date | number;
  readonly metadata: Metadata;
  /** What the client sends: where it streams, an iterable. */
  readonly request: unknown;
  readonly authContext: AuthContext;
}

/** What a stream of grpc-js tells of its call, of whichever kind that is. */
export interface OfCall {
  cancelled: boolean;
  request: unknown;
  readonly metadata: Metadata;
  /** Says whose call it is, and by which transport it goes. */
  carry(port: TestPort, origin: TestOrigin): this;
  /** The client leaves, or is done. */
  cancel(): void;
}

type Streams<S> = new (options: { objectMode: true }) => S;

function ofCall<S extends Writable>(base: Streams<S>): Streams<S & OfCall> {
  const made = class extends (base as Streams<Writable>) implements OfCall {
    cancelled = false;
    request: unknown;
    metadata!: Metadata;
    origin!: TestOrigin;

    carry(port: TestPort, origin: TestOrigin): this {
      carryBy(this, port);
      this.origin = origin;
      this.metadata = origin.metadata.clone();
      // As grpc-js does, it hears of errors that a handler gives.
      this.on('error', () => {});
      // And it says `cancelled` at the end of every call, also of one that went well.
      void port.ended.then(() => setImmediate(() => this.cancel()));
      return this;
    }

    cancel(): void {
      if (this.cancelled) return;
      this.cancelled = true;
      this.emit('cancelled', 'cancelled');
    }

    getPath(): string {
      return this.origin.path;
    }

    getPeer(): string {
      return this.origin.peer;
    }

    getHost(): string {
      return 'localhost';
    }

    getDeadline(): Date | number {
      return this.origin.deadline;
    }

    getAuthContext(): object {
      return this.origin.authContext;
    }

    getMetricsRecorder(): object {
      return {};
    }
  };
  return made as unknown as Streams<S & OfCall>;
}

const CallWritable: Streams<Writable & OfCall> = ofCall(Writable);
const CallDuplex: Streams<Duplex & OfCall> = ofCall(Duplex);

/** What a handler is called with: a Writable that has its own transport, and what grpc-js tells of a call. */
export class TestStream extends CallWritable {
  constructor(port: TestPort, origin: TestOrigin) {
    super({ objectMode: true });
    this.carry(port, origin);
    this.request = origin.request;
  }
}

/** The same, where the client streams: its requests are pulled as they are asked for. */
export class TestDuplex extends CallDuplex {
  private readonly requests: AsyncIterator<unknown> | Iterator<unknown>;
  private asked = false;

  constructor(port: TestPort, origin: TestOrigin) {
    super({ objectMode: true });
    this.carry(port, origin);
    const requests = origin.request as Partial<AsyncIterable<unknown>> & Iterable<unknown>;
    this.requests = requests[Symbol.asyncIterator]?.() ?? requests[Symbol.iterator]();
    this.once('cancelled', () => this.requests.return?.());
  }

  /** A client whose requests fail leaves. */
  override _read(): void {
    if (this.asked) return;
    this.asked = true;
    void this.next().then(
      ({ done, value }) => {
        this.asked = false;
        if (!this.cancelled) this.push(done ? null : value);
      },
      () => this.cancel(),
    );
  }

  private async next(): Promise<IteratorResult<unknown>> {
    return this.requests.next();
  }
}
