import { Writable } from 'node:stream';
import { Metadata, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { ServerCall } from '../../lib/call/call.ts';
import { compose } from '../../lib/call/compose.ts';
import { configure, type Method } from '../../lib/index.ts';
import { pump } from '../../lib/run/pump.ts';
import { TestPort } from '../../lib/testing/test-port.ts';
import { FrameDelivery } from '../../lib/wire/frames.ts';
import type { Carrier, Delivery, WireStatus } from '../../lib/wire/port.ts';
import { frame } from '../support/frames.ts';
import { deferred, until } from '../support/harness.ts';

/** A transport of its own: it writes frames to any Writable of Node. */
class WritablePort extends TestPort {
  taken = 0;
  readonly last = deferred<WireStatus>();

  constructor(private readonly writable: Writable) {
    super({ slowByMs: 0, serialize: undefined, took: () => {} });
  }

  override open(carrier: Carrier): Delivery {
    const { writable } = this;
    const outlet = {
      maxBytes: 1000,
      get ended() {
        return writable.writableEnded;
      },
      serialize: (message: unknown) => Buffer.from(String(message)),
      write: (frames: Buffer, taken: (error?: Error | null) => void) => void writable.write(frames, taken),
      sent: (messages: number) => {
        this.taken += messages;
      },
    };
    return new FrameDelivery(outlet, carrier);
  }

  override status(last: WireStatus): void {
    this.writable.end();
    this.last.resolve(last);
  }
}

function serve(method: Method<unknown, unknown>, port: TestPort): void {
  const origin = {
    metadata: new Metadata(),
    getPath: () => '/spec.Service/Stream',
    getPeer: () => 'a test',
    getHost: () => 'localhost',
    getDeadline: () => Number.POSITIVE_INFINITY,
  };
  const call = new ServerCall(origin, {}, port);
  call.begin(compose(configure({ onError: () => {} })), () => void pump(call, method));
}

describe('a port that writes frames to a Writable', () => {
  it('gets all of them in order, and the status after the last', async () => {
    const chunks: Buffer[] = [];
    const writable = new Writable({
      write(chunk, _encoding, done) {
        chunks.push(chunk);
        setImmediate(done);
      },
    });
    const port = new WritablePort(writable);
    const words = Array.from({ length: 3000 }, (_, index) => `word ${index}`);
    serve(() => words, port);
    expect((await port.last.promise).code).to.equal(status.OK);
    expect(Buffer.concat(chunks).equals(Buffer.concat(words.map(word => frame(Buffer.from(word)))))).to.equal(
      true,
    );
    expect(port.taken).to.equal(3000);
  });

  it('has a whole window on its way, and the source is asked for no more than that', async () => {
    const held: (() => void)[] = [];
    const writable = new Writable({ write: (_chunk, _encoding, done) => void held.push(done) });
    const port = new WritablePort(writable);
    let pulled = 0;
    serve(function* () {
      for (; pulled < 2000; pulled++) yield 'x';
    }, port);
    await until('the window is full', () => pulled >= 255);
    for (let turns = 0; turns < 5; turns++) await new Promise(resolve => setImmediate(resolve));
    expect(pulled).to.be.within(255, 257);
    while (pulled < 2000 || held.length > 0) {
      held.shift()?.();
      await new Promise(resolve => setImmediate(resolve));
      expect(pulled - port.taken).to.be.at.most(257);
    }
    expect((await port.last.promise).code).to.equal(status.OK);
  });

  it('fails with the message that is too large for it, and sends those before', async () => {
    const chunks: Buffer[] = [];
    const port = new WritablePort(
      new Writable({
        write(chunk, _encoding, done) {
          chunks.push(chunk);
          done();
        },
      }),
    );
    serve(() => ['fits', 'x'.repeat(1001)], port);
    const { code, details } = await port.last.promise;
    expect(code).to.equal(status.RESOURCE_EXHAUSTED);
    expect(details).to.include('index 1').and.include('1001 bytes');
    expect(Buffer.concat(chunks).equals(frame(Buffer.from('fits')))).to.equal(true);
  });
});
