import { ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { configure, type Middleware, mount, StatusError } from '../../lib/index.ts';
import { connectRaw, frame, requestRaw } from '../support/frames.ts';
import {
  type AnySource,
  deferred,
  definition,
  type MountName,
  mountNames,
  quiet,
  serve,
  start,
  stopAll,
  turn,
  until,
} from '../support/harness.ts';
import { delayed } from '../support/interceptors.ts';

/** Messages of many sizes, from nothing to more than a tiny window. */
const messages = Array.from({ length: 12 }, (_, i) => ({ i, text: 'ü'.repeat((i * 37) % 151) }));

const windows: Record<string, Middleware> = {
  'of one message': configure({ maxUnackedMessages: 1 }),
  'of two messages': configure({ maxUnackedMessages: 2 }),
  'of 100 bytes': configure({ maxUnackedBytes: 100 }),
  'of one byte': configure({ maxUnackedBytes: 1 }),
};

const sources: Record<string, AnySource> = {
  'an async generator': async function* () {
    for (const message of messages) yield message;
  },
  'a sync generator': function* () {
    yield* messages;
  },
  'one that waits': async function* () {
    for (const message of messages) {
      yield message;
      if (message.i % 3 === 0) await turn();
    }
  },
};

/** Waits until nothing moves any more. */
async function still(look: () => unknown): Promise<void> {
  let last = look();
  for (let quietTurns = 0; quietTurns < 10; quietTurns++) {
    await new Promise(resolve => setTimeout(resolve, 1));
    const now = look();
    if (now !== last) quietTurns = 0;
    last = now;
  }
}

/** Counts what is handed to grpc-js, and holds nothing back. */
function counter(): { readonly interceptor: ServerInterceptor; handed: number } {
  const result = {
    handed: 0,
    interceptor: ((_method, call) =>
      new ServerInterceptingCall(call, {
        sendMessage(message, next) {
          result.handed += 1;
          next(message);
        },
      })) as ServerInterceptor,
  };
  return result;
}

/** A client whose HTTP/2 window is closed until the test opens it. */
function stalled(port: number): {
  open(): void;
  received(): unknown[];
  code: Promise<string | undefined>;
  close(): void;
} {
  const session = connectRaw(port, { initialWindowSize: 0 });
  const stream = requestRaw(session);
  const chunks: Buffer[] = [];
  let code: string | undefined;
  stream.on('data', chunk => chunks.push(chunk));
  stream.on('trailers', trailers => {
    code = trailers['grpc-status'] as string;
  });
  return {
    open: () => session.settings({ initialWindowSize: 65535 }),
    received() {
      const bytes = Buffer.concat(chunks);
      const all: unknown[] = [];
      for (let at = 0; at + 5 <= bytes.length; ) {
        const end = at + 5 + bytes.readUInt32BE(at + 1);
        all.push(JSON.parse(bytes.toString('utf8', at + 5, end)));
        at = end;
      }
      return all;
    },
    code: new Promise(resolve => stream.on('close', () => resolve(code))),
    close: () => session.destroy(),
  };
}

describe('the wire', () => {
  afterEach(stopAll);
  for (const on of mountNames) describe(`on ${on}`, () => wire(on));
  describe('where sizes are known', sizes);
});

function wire(on: MountName): void {
  for (const [name, interceptors] of Object.entries(delayed)) {
    it(`delivers everything in order through a tiny window, ${name}`, async () => {
      for (const [size, window] of Object.entries(windows)) {
        for (const [kind, source] of Object.entries(sources)) {
          const server = await serve(on, source, [window], { interceptors: interceptors() });
          const reply = await server.call();
          expect(reply.code, `${size}, ${kind}`).to.equal(status.OK);
          expect(reply.messages, `${size}, ${kind}`).to.deep.equal(messages);
          await server.close();
        }
      }
    });

    it(`S17 delivers everything before the status of an error, ${name}`, async () => {
      const source: AnySource = async function* () {
        yield* messages;
        throw new StatusError(status.ABORTED, 'at the end');
      };
      for (const window of [quiet, ...Object.values(windows)]) {
        const server = await serve(on, source, [window], { interceptors: interceptors() });
        const { code, details, messages: received } = await server.call();
        expect({ code, details }).to.deep.equal({ code: status.ABORTED, details: 'at the end' });
        expect(received).to.deep.equal(messages);
        await server.close();
      }
    });

    it(`delivers in order what a layer sends beyond the window, ${name}`, async () => {
      const many: Middleware = (_call, next) => ({
        message(message) {
          for (let copy = 0; copy < 3; copy++) next.message({ ...message, copy });
        },
      });
      const server = await serve(on, () => messages, [many, configure({ maxUnackedMessages: 1 })], {
        interceptors: interceptors(),
      });
      const { messages: received } = await server.call();
      expect(received).to.deep.equal(
        messages.flatMap(message => [0, 1, 2].map(copy => ({ ...message, copy }))),
      );
    });
  }

  it('keeps order under interceptors that delay each message by another time', async () => {
    const times = [3, 0, 2, 5, 1, 0, 4, 2];
    let count = 0;
    const uneven: ServerInterceptor = (_method, call) =>
      new ServerInterceptingCall(call, {
        sendMessage: (message, next) =>
          void setTimeout(() => next(message), times[count++ % times.length] as number),
      });
    const server = await serve(on, () => messages, [], { interceptors: [uneven, uneven] });
    const { messages: received, code } = await server.call();
    expect(code).to.equal(status.OK);
    expect(received).to.deep.equal(messages);
  });

  for (const limit of [1, 2, 7, 64]) {
    it(`S10 S14 hands over no more than ${limit} messages that were not taken`, async () => {
      const counting = counter();
      let pulled = 0;
      const source: AnySource = async function* () {
        for (let i = 1; i <= 200; i++) {
          pulled = i;
          yield i;
        }
      };
      const server = await serve(on, source, [configure({ maxUnackedMessages: limit })], {
        interceptors: [counting.interceptor],
      });
      const client = stalled(server.port);
      await until('as many as may be were handed over', () => counting.handed >= limit);
      await still(() => `${counting.handed} ${pulled}`);
      expect(counting.handed).to.equal(limit);
      // A handler of grpc-js writes ahead into its own Writable.
      if (on === 'mount' || on === 'produce') expect(pulled).to.equal(limit);
      client.open();
      expect(await client.code).to.equal('0');
      expect(client.received()).to.deep.equal(Array.from({ length: 200 }, (_, i) => i + 1));
      client.close();
    });
  }

  it('S14 hands over the default of 256 messages, and no more', async () => {
    const counting = counter();
    const server = await serve(on, () => Array.from({ length: 1000 }, (_, i) => i), [], {
      interceptors: [counting.interceptor],
    });
    const client = stalled(server.port);
    await until('as many as may be were handed over', () => counting.handed >= 256);
    await still(() => counting.handed);
    expect(counting.handed).to.equal(256);
    client.open();
    expect(await client.code).to.equal('0');
    expect(client.received()).to.have.length(1000);
    client.close();
  });

  it('S14 hands over one message at a time to an interceptor of a kind it does not know', async () => {
    const waiting: (() => void)[] = [];
    let most = 0;
    let ended = false;
    const withholding: ServerInterceptor = (_method, call) => {
      const own = new ServerInterceptingCall(call);
      // Not a ServerInterceptingCall, and it acknowledges when the test says so.
      return new Proxy(own, {
        get(target, name) {
          if (name === 'sendMessage')
            return (message: unknown, ack: () => void) =>
              target.sendMessage(message, () => {
                waiting.push(ack);
                most = Math.max(most, waiting.length);
              });
          if (name === 'sendStatus')
            return (last: any) => {
              ended = true;
              target.sendStatus(last);
            };
          const value = Reflect.get(target, name);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    };
    const server = await serve(on, () => messages, [configure({ maxUnackedMessages: 5 })], {
      interceptors: [withholding],
    });
    const { reply } = server.open();
    for (let i = 0; i < messages.length; i++) {
      await until(`message ${i} was handed over`, () => waiting.length > 0);
      await still(() => waiting.length);
      expect(ended, 'the status comes after the last message was taken').to.equal(false);
      waiting.shift()?.();
    }
    expect((await reply).messages).to.deep.equal(messages);
    expect(most).to.equal(1);
  });

  it('S11 goes on after many stalls', async () => {
    const server = await serve(
      on,
      () => Array.from({ length: 300 }, (_, i) => ({ i, text: 'x'.repeat(i % 70) })),
      [configure({ maxUnackedMessages: 3, maxUnackedBytes: 150 })],
    );
    // 40 bytes at a time.
    const session = connectRaw(server.port, { initialWindowSize: 40 });
    const stream = requestRaw(session);
    let bytes = 0;
    stream.on('data', chunk => {
      bytes += chunk.length;
    });
    const code = await new Promise(resolve => stream.on('trailers', got => resolve(got['grpc-status'])));
    session.destroy();
    expect(code).to.equal('0');
    const expected = Array.from({ length: 300 }, (_, i) =>
      frame(Buffer.from(JSON.stringify({ i, text: 'x'.repeat(i % 70) }))),
    );
    expect(bytes).to.equal(Buffer.concat(expected).length);
  });

  it('waits for the last message to be taken before the status', async () => {
    const ended: string[] = [];
    const server = await serve(on, () => ['first', 'second'], [
      () => ({ end: ({ reason }) => void ended.push(reason) }),
    ]);
    const client = stalled(server.port);
    await still(() => ended.length);
    expect(ended).to.deep.equal([]);
    client.open();
    expect(await client.code).to.equal('0');
    expect(ended).to.deep.equal(['completed']);
    client.close();
  });
}

/** `mount` encodes ahead, so that it knows how much it hands over. */
function sizes(): void {
  const serveSized = async (source: AnySource, maxUnackedBytes: number) => {
    const counting = counter();
    const server = await start(
      one => mount(one, definition, { stream: source }, quiet, configure({ maxUnackedBytes })),
      { interceptors: [counting.interceptor] },
    );
    return { server, counting };
  };

  for (const [bytes, limit] of [
    [20, 100],
    [50, 100],
    [20, 1000],
    [2, 128],
  ] as const) {
    it(`S14 hands over no more than ${limit} bytes, in messages of ${bytes}`, async () => {
      let pulled = 0;
      const { server, counting } = await serveSized(async function* () {
        for (let i = 0; i < 100; i++) {
          pulled += 1;
          yield 'x'.repeat(bytes - 2);
        }
      }, limit);
      const client = stalled(server.port);
      await until('some messages were handed over', () => counting.handed > 0);
      await still(() => counting.handed);
      // With a frame of 5 bytes each, or without.
      expect(counting.handed).to.be.within(Math.floor(limit / (bytes + 5)), Math.floor(limit / bytes));
      expect(pulled).to.be.within(counting.handed, counting.handed + 1);
      client.open();
      expect(await client.code).to.equal('0');
      expect(client.received()).to.have.length(100);
      client.close();
    });
  }

  it('S14 hands over a message that is larger than the window alone', async () => {
    const sent = ['small', 'x'.repeat(500), 'y'.repeat(500), 'small'];
    const { server, counting } = await serveSized(async function* () {
      yield* sent;
    }, 100);
    // A window of one small message, then of the rest.
    const session = connectRaw(server.port, { initialWindowSize: 12 });
    const stream = requestRaw(session);
    stream.pause();
    await until('the first ones were handed over', () => counting.handed >= 1);
    await still(() => counting.handed);
    // The small one was taken, the large one is alone, the next one waits.
    expect(counting.handed).to.equal(2);
    session.settings({ initialWindowSize: 65535 });
    const chunks: Buffer[] = [];
    stream.on('data', chunk => chunks.push(chunk));
    stream.resume();
    await new Promise(resolve => stream.on('close', resolve));
    session.destroy();
    expect(Buffer.concat(chunks).toString('latin1')).to.equal(
      Buffer.concat(sent.map(message => frame(Buffer.from(JSON.stringify(message))))).toString('latin1'),
    );
  });

  it('S14 does not hand over a small message beside a large one', async () => {
    const { server, counting } = await serveSized(() => ['x'.repeat(500), 'small', 'small'], 100);
    const client = stalled(server.port);
    await until('the first was handed over', () => counting.handed === 1);
    await still(() => counting.handed);
    expect(counting.handed).to.equal(1);
    client.open();
    expect(await client.code).to.equal('0');
    expect(client.received()).to.deep.equal(['x'.repeat(500), 'small', 'small']);
    client.close();
  });

  it('S12 releases a source that waits for the window when the client goes away', async () => {
    const released = deferred();
    const { server, counting } = await serveSized(async function* () {
      try {
        for (;;) yield 'x'.repeat(50);
      } finally {
        released.resolve();
      }
    }, 100);
    const client = stalled(server.port);
    await until('the window is full', () => counting.handed > 0);
    client.close();
    await released.promise;
  });
}
