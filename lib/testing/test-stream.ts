import { Duplex, Writable } from 'node:stream';
import type { Metadata } from '@grpc/grpc-js';
import { expected } from '../check.ts';
import { carryBy } from '../grpc-js/ports.ts';
import { survive } from '../hooks.ts';
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

/** What a handler is called with: a Writable that has its own transport, and what grpc-js tells of a call. */
export interface TestStream extends Writable {
  cancelled: boolean;
  /** Something among the requests was none: whoever wrote the test is told. */
  readonly mistake?: TypeError | undefined;
  /** The client leaves, or is done. */
  cancel(): void;
}

/** `streamed` when the client streams: then it can also be read. */
export function testStream(port: TestPort, origin: TestOrigin, streamed: boolean): TestStream {
  const { authContext, deadline, path, peer, request } = origin;
  const bare = streamed ? new Sending(origin) : new Writable({ objectMode: true });
  carryBy(bare, port);
  const stream: TestStream = Object.assign(bare, {
    cancelled: false,
    metadata: origin.metadata.clone(),
    request: streamed ? undefined : request,
    cancel() {
      if (stream.cancelled) return;
      stream.cancelled = true;
      stream.emit('cancelled', 'cancelled');
    },
    getPath: () => path,
    getPeer: () => peer,
    getHost: () => 'localhost',
    getDeadline: () => deadline,
    getAuthContext: () => authContext,
    getMetricsRecorder: () => ({}),
  });
  // As grpc-js does, it hears of errors that a handler gives.
  stream.on('error', () => {});
  // And it says `cancelled` at the end of every call, also of one that went well.
  void port.ended.then(() => setImmediate(stream.cancel));
  return stream;
}

/** The requests of a client, pulled as they are asked for. */
class Sending extends Duplex {
  mistake: TypeError | undefined;
  private requests: AsyncIterator<unknown> | Iterator<unknown> | undefined;
  private count = 0;
  private asked = false;

  constructor(private readonly origin: TestOrigin) {
    super({ objectMode: true });
    this.once('cancelled', () => this.leave());
  }

  /** A client whose requests fail leaves. */
  override _read(): void {
    if (this.asked) return;
    this.asked = true;
    void this.next().then(
      request => {
        this.asked = false;
        this.push(request);
      },
      () => (this as unknown as TestStream).cancel(),
    );
  }

  /** The next request; `null` at their end, as a Readable wants it. */
  private async next(): Promise<unknown> {
    this.requests ??= iteratorOf(this.origin.request);
    const step: unknown = await this.requests.next();
    const index = this.count++;
    if (typeof step !== 'object' || step === null)
      throw this.mistaken(`next() of requests[${index}]`, 'an object', step);
    const { done, value } = step as IteratorResult<unknown>;
    if (done) return null;
    if (value !== null && value !== undefined) return value;
    throw this.mistaken(`requests[${index}]`, 'a message', value);
  }

  private mistaken(name: string, what: string, value: unknown): TypeError {
    this.mistake = expected(name, what, value);
    return this.mistake;
  }

  private leave(): void {
    survive(() => this.requests?.return?.());
  }
}

function iteratorOf(requests: unknown): AsyncIterator<unknown> | Iterator<unknown> {
  const { [Symbol.asyncIterator]: later, [Symbol.iterator]: now } = requests as Partial<
    AsyncIterable<unknown>
  > &
    Iterable<unknown>;
  return later ? later.call(requests) : now.call(requests);
}
