import { Writable } from 'node:stream';
import type { Metadata } from '@grpc/grpc-js';
import { carryBy } from '../grpc-js/ports.ts';
import type { TestPort } from './test-port.ts';

/** What a test knows of its client beforehand. */
export interface TestOrigin {
  readonly path: string;
  readonly peer: string;
  readonly deadline: Date | number;
  readonly metadata: Metadata;
  readonly request: unknown;
}

/** What a handler is called with: a Writable that has its own transport, and what grpc-js tells of a call. */
export class TestStream extends Writable {
  cancelled = false;
  readonly request: unknown;
  readonly metadata: Metadata;
  private readonly origin: TestOrigin;

  constructor(port: TestPort, origin: TestOrigin) {
    super({ objectMode: true });
    carryBy(this, port);
    this.origin = origin;
    this.request = origin.request;
    this.metadata = origin.metadata.clone();
    // As grpc-js does, it hears of errors that a handler gives.
    this.on('error', () => {});
    // And it says `cancelled` at the end of every call, also of one that went well.
    void port.ended.then(() => setImmediate(() => this.cancel()));
  }

  /** The client leaves, or is done. */
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
    return {};
  }

  getMetricsRecorder(): object {
    return {};
  }
}
