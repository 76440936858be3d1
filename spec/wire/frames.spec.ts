import { AsyncLocalStorage } from 'node:async_hooks';
import { constants } from 'node:http2';
import type { Writable } from 'node:stream';
import {
  getChannelzHandlers,
  Metadata,
  type ServerInterceptingCallInterface,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { expect } from 'chai';
import fc from 'fast-check';
import type { ServerCall } from '../../lib/call/call.ts';
import type { Below } from '../../lib/grpc-js/below.ts';
import {
  broadcast,
  type Call,
  configure,
  interceptor,
  type Middleware,
  mount,
  produce,
} from '../../lib/index.ts';
import { insideOf } from '../../lib/inside.ts';
import { connectRaw, frame, requestRaw, statusOf } from '../support/frames.ts';
import {
  type AnySource,
  deferred,
  definition,
  encodings,
  type Handler,
  mountNames,
  quiet,
  serve,
  start,
  stopAll,
  turn,
  until,
} from '../support/harness.ts';
import { Program } from '../support/program.ts';

/** The same methods, for messages that are bytes already. */
const bytesDefinition = {
  stream: {
    ...definition.stream,
    responseSerialize: (bytes: Buffer) => bytes,
    responseDeserialize: (bytes: Buffer) => bytes,
  },
};

/** Every byte of the body that a client gets, in as many pieces as its window asks for. */
async function body(port: number, initialWindowSize = 65_535): Promise<Buffer> {
  const session = connectRaw(port, { initialWindowSize });
  const stream = requestRaw(session);
  const chunks: Buffer[] = [];
  stream.on('data', chunk => chunks.push(chunk));
  await new Promise(resolve => stream.on('close', resolve));
  session.destroy();
  return Buffer.concat(chunks);
}

/** What HTTP/2 and grpc-js do with a call, which shows nowhere else. */
function belowOf(call: Call): Inside {
  return ((insideOf(call) as ServerCall).wire as unknown as { port: { below: Inside } }).port.below;
}

interface Inside extends Pick<Below, 'pendingBytes'> {
  base: ServerInterceptingCallInterface;
  stream: Writable;
}

const framed = (messages: readonly Uint8Array[]) => Buffer.concat(messages.map(message => frame(message)));

describe('frames that are written past grpc-js', () => {
  afterEach(stopAll);

  for (const on of mountNames)
    it(`are the bytes of grpc-js, whatever the sizes and the windows, on ${on}`, async () => {
      const sizes = fc.array(fc.oneof(fc.nat(40), fc.nat(300), fc.nat(40_000)), { maxLength: 60 });
      const windows = fc.record({
        maxUnackedMessages: fc.integer({ min: 1, max: 40 }),
        maxUnackedBytes: fc.oneof(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 100_000 })),
      });
      const clientWindow = fc.oneof(fc.integer({ min: 100, max: 2000 }), fc.constant(65_535));
      await fc.assert(
        fc.asyncProperty(sizes, windows, clientWindow, fc.nat(3), async (lengths, window, client, copies) => {
          const messages = lengths.map((length, index) => `${index}${'x'.repeat(length)}`);
          // What a layer adds goes beyond the window.
          const copying: Middleware = (_call, next) => ({
            message(message) {
              for (let copy = 0; copy <= copies; copy++) next.message(`${copy}${message}`);
            },
          });
          const server = await serve(on, () => messages, [configure(window), copying]);
          const expected = messages.flatMap(message =>
            Array.from({ length: copies + 1 }, (_, copy) => `${copy}${message}`),
          );
          const bytes = await body(server.port, client);
          await server.close();
          expect(bytes.equals(framed(expected.map(text => Buffer.from(JSON.stringify(text)))))).to.equal(
            true,
          );
        }),
        { numRuns: 25 },
      );
    });

  for (const limit of [1, 2, 7, 64, 256])
    it(`S10 S14 are no more than ${limit} before HTTP/2 has taken one`, async () => {
      let pulled = 0;
      const source: AnySource = async function* () {
        for (let i = 1; i <= 1000; i++) {
          pulled = i;
          yield i;
        }
      };
      for (const on of ['produce', 'mount'] as const) {
        pulled = 0;
        const server = await serve(on, source, [configure({ maxUnackedMessages: limit })]);
        const session = connectRaw(server.port, { initialWindowSize: 0 });
        const stream = requestRaw(session);
        await until('as many as may be are pulled', () => pulled >= limit);
        await new Promise(resolve => setTimeout(resolve, 20));
        expect(pulled).to.equal(limit);
        session.settings({ initialWindowSize: 65_535 });
        stream.resume();
        await new Promise(resolve => stream.on('close', resolve));
        expect(pulled).to.equal(1000);
        session.destroy();
        await server.close();
      }
    });

  it('S14 are no more bytes than the window before HTTP/2 has taken one', async () => {
    for (const [bytes, limit] of [
      [20, 100],
      [1000, 20_000],
      [16_384, 131_072],
    ] as const) {
      let pulled = 0;
      const source: AnySource = function* () {
        for (;;) {
          pulled += 1;
          yield 'x'.repeat(bytes - 2);
        }
      };
      const server = await serve('produce', source, [configure({ maxUnackedBytes: limit })]);
      const session = connectRaw(server.port, { initialWindowSize: 0 });
      requestRaw(session);
      await until('the window is full', () => pulled * (bytes + 5) >= limit);
      await new Promise(resolve => setTimeout(resolve, 20));
      expect(pulled).to.equal(Math.ceil(limit / (bytes + 5)));
      session.destroy();
      await server.close();
    }
  });

  for (const [name, window, most] of [
    ['three messages', { maxUnackedMessages: 3 }, 3 * 25],
    ['80 bytes', { maxUnackedBytes: 80 }, 3 * 25],
    ['ten bytes', { maxUnackedBytes: 10 }, 25],
  ] as const)
    it(`S14 wait for HTTP/2 where layers send more than a window of ${name}`, async () => {
      const copying: Middleware = (_call, next) => ({
        message(message) {
          for (let copy = 0; copy < 10; copy++) next.message(`${copy}${message}`);
        },
      });
      let pending: () => number = () => 0;
      const look: Middleware = call => {
        const below = belowOf(call);
        pending = () => below.pendingBytes();
      };
      const messages = Array(20).fill('x'.repeat(17));
      const server = await serve('produce', () => messages, [configure(window), copying, look]);
      const session = connectRaw(server.port, { initialWindowSize: 0 });
      const stream = requestRaw(session);
      await until('something is written', () => pending() > 0);
      for (let i = 0; i < 10; i++) await turn();
      expect(pending()).to.equal(most);
      const chunks: Buffer[] = [];
      let highest = 0;
      stream.on('data', chunk => {
        chunks.push(chunk);
        highest = Math.max(highest, pending());
      });
      session.settings({ initialWindowSize: 200 });
      await new Promise(resolve => stream.on('close', resolve));
      session.destroy();
      const sent = messages.flatMap(text => Array.from({ length: 10 }, (_, copy) => `${copy}${text}`));
      const expected = framed(sent.map(text => Buffer.from(JSON.stringify(text))));
      expect(Buffer.concat(chunks).equals(expected)).to.equal(true);
      expect(highest).to.equal(most);
    });

  for (const on of mountNames)
    it(`go before a status that is given in the same turn, on ${on}`, async () => {
      const enough: Middleware = (call, next) => ({
        message(message) {
          next.message(message);
          next.message(message);
          if (message === 2) call.end({ code: status.ABORTED, details: 'enough', reason: 'limit' });
        },
      });
      const server = await serve(on, () => [1, 2, 3], [enough, configure({ maxUnackedMessages: 1 })]);
      const { code, messages } = await server.call();
      expect({ code, messages }).to.deep.equal({ code: status.ABORTED, messages: [1, 1, 2, 2] });
    });

  it('hold what a message was when it was sent', async () => {
    const scratch = Buffer.alloc(100);
    const source: AnySource = function* () {
      for (let i = 0; i < 10; i++) yield scratch.fill(i).subarray(0, 10 * i);
    };
    const server = await start(one => one.addService(bytesDefinition, { stream: produce(source, quiet) }));
    const expected = Array.from({ length: 10 }, (_, i) => Buffer.alloc(10 * i, i));
    expect((await body(server.port)).equals(framed(expected))).to.equal(true);
  });

  it('take any bytes that a serialiser makes, not only those of a Buffer', async () => {
    const views = [new Uint8Array([1, 2, 3]), new Uint8Array(100).subarray(20, 70).fill(7)];
    const server = await start(one =>
      one.addService(bytesDefinition, { stream: produce(() => views, quiet) }),
    );
    expect((await body(server.port)).equals(framed(views))).to.equal(true);
  });

  it('are of a message that is broadcast the same, alone and among others', async () => {
    const counting = encodings();
    const shared = broadcast({ text: 'for all' });
    const list: unknown[] = [shared, shared, 'mine', shared, 'mine'];
    const source: AnySource = async function* () {
      for (const message of list) yield message;
      await new Promise(resolve => setTimeout(resolve, 5));
      yield shared;
    };
    const server = await start(one => mount(one, counting.definition, { stream: source }, quiet));
    const expected = [...list, shared].map(message => Buffer.from(JSON.stringify(message)));
    for (let call = 0; call < 3; call++)
      expect((await body(server.port)).equals(framed(expected))).to.equal(true);
    expect(counting.count).to.equal(1 + 3 * 2);
  });

  it('are counted, with their sizes and times', async () => {
    const seen: object[] = [];
    const look: Middleware = call => {
      const { stats } = call;
      return {
        end() {
          const { bytes, firstMessageAt = 0, lastMessageAt = 0, messages, startedAt } = stats;
          const ordered = startedAt <= firstMessageAt && firstMessageAt <= lastMessageAt;
          seen.push({ bytes, messages, ordered });
        },
      };
    };
    for (const on of mountNames) {
      const server = await serve(on, () => ['a', 'bb', 'ccc'], [look]);
      await server.call();
    }
    expect(seen).to.deep.equal(mountNames.map(() => ({ bytes: 12, messages: 3, ordered: true })));
  });

  it('are counted by channelz', async () => {
    const server = await serve('produce', () => Array.from({ length: 300 }, (_, i) => i));
    const socket = await socketOf(server.port, server.call);
    expect(Number(socket.data.messages_sent)).to.equal(300);
  });

  it('go through grpc-js when it is asked to trace them', async () => {
    const script = `
      import * as harness from './spec/support/harness.ts';
      const server = await harness.serve('produce', () => ['a', 'bb', 'ccc']);
      await server.call();
      await server.close();
    `;
    const { code, stderr } = await new Program(
      ['node', '--import=tsx', '--input-type=module', '--eval', script],
      { GRPC_TRACE: 'server_call', GRPC_VERBOSITY: 'DEBUG' },
    ).ended;
    expect(code).to.equal(0);
    expect(stderr.match(/sent data frame of size \d+/g)).to.deep.equal(
      [8, 9, 10].map(bytes => `sent data frame of size ${bytes}`),
    );
  });

  it('are not written once the stream was ended by somebody else', async () => {
    const source: AnySource = async function* (_request, call) {
      yield 1;
      await turn();
      // As grpc-js does when its own timer for the deadline comes first.
      belowOf(call).base.sendStatus({ code: status.DEADLINE_EXCEEDED, details: 'late', metadata: null });
      yield 2;
    };
    const server = await serve('produce', source);
    const session = connectRaw(server.port, { initialWindowSize: 0 });
    const stream = requestRaw(session);
    const code = statusOf(stream);
    await new Promise(resolve => stream.once('response', resolve));
    for (let i = 0; i < 5; i++) await turn();
    session.settings({ initialWindowSize: 65_535 });
    expect(await code).to.equal(String(status.DEADLINE_EXCEEDED));
    session.destroy();
  });

  it('are written in the async context of whoever sent them', async () => {
    const contexts = new AsyncLocalStorage<string>();
    const heard: string[] = [];
    const both = deferred();
    const source: AnySource = async function* ({ name }, call) {
      yield 1;
      await both.promise;
      // HTTP/2 is found ended when this is written, and the layers hear of it from there.
      if (name === 'second')
        belowOf(call).base.sendStatus({ code: status.DEADLINE_EXCEEDED, details: 'late', metadata: null });
      yield 2;
      if (name === 'second') await new Promise(() => {});
    };
    const look: Middleware = call => ({
      end: () => void heard.push(`${call.request.name} in ${contexts.getStore()}`),
    });
    const produced = produce(source, quiet, look);
    const server = await start(one =>
      one.addService(definition, {
        stream: (call => contexts.run(call.request.name, () => produced(call))) as Handler,
      }),
    );
    const calls = ['first', 'second'].map(name => server.open({ name }));
    await Promise.all(calls.map(({ stream }) => new Promise(resolve => stream.once('data', resolve))));
    both.resolve();
    await Promise.all(calls.map(({ reply }) => reply));
    await until('both are over', () => heard.length === 2);
    expect(heard.sort()).to.deep.equal(['first in first', 'second in second']);
  });

  it('end their call, and no other, when they cannot be written', async () => {
    const source: AnySource = async function* ({ fails }, call) {
      yield 1;
      await turn();
      if (fails)
        belowOf(call).stream.write = () => {
          throw new Error('no more writing');
        };
      yield 2;
    };
    const server = await serve('produce', source);
    const [failed, fine] = await Promise.all([server.call({ fails: true }), server.call()]);
    expect([failed.code, failed.details]).to.deep.equal([status.UNKNOWN, 'internal error']);
    expect([fine.code, fine.messages]).to.deep.equal([status.OK, [1, 2]]);
  });

  it('go with one write, if they are sent in one turn', async () => {
    const writes: number[] = [];
    const source: AnySource = async function* (_request, call) {
      for (let i = 0; i < 4; i++) {
        yield 'x'.repeat(10_000);
        await turn();
      }
      const { stream } = belowOf(call);
      const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
      stream.write = (...args: unknown[]) => {
        writes.push((args[0] as Buffer).length);
        return write(...args);
      };
      for (let i = 0; i < 100; i++) yield i;
      await turn();
      yield 'x'.repeat(10_000);
      yield 'y'.repeat(10_000);
      yield 'last';
    };
    const server = await serve('produce', source, [configure({ maxUnackedBytes: 30_000 })]);
    expect((await server.call()).messages).to.have.length(107);
    const numbers = framed(Array.from({ length: 100 }, (_, i) => Buffer.from(String(i)))).length;
    expect(writes).to.deep.equal([numbers, 10_007, 10_007 + 11]);
  });

  it('are no message of a serialiser that makes no bytes', async () => {
    const odd: Record<string, unknown> = {
      undefined: undefined,
      'a string': 'bytes',
      'an ArrayBuffer': new ArrayBuffer(2000),
      'a DataView': new DataView(new ArrayBuffer(2000)),
      'a Uint16Array': new Uint16Array(1000),
      'a promise': Promise.resolve(Buffer.alloc(10)),
      'an array': [1, 2, 3],
    };
    for (const [name, value] of Object.entries(odd)) {
      for (const message of [{ odd: true }, broadcast({ odd: true })]) {
        const responseSerialize = (one: { odd?: boolean }) =>
          one.odd ? (value as Buffer) : Buffer.from('"fine"');
        const oddDefinition = { stream: { ...definition.stream, responseSerialize } };
        const server = await start(one =>
          one.addService(oddDefinition, { stream: produce(() => [{}, message], quiet) }),
        );
        const { code, details, messages } = await server.call();
        expect({ code, details, messages }, name).to.deep.equal({
          code: status.INTERNAL,
          details: 'the message at index 1 of /spec.Service/Stream could not be serialised',
          messages: ['fine'],
        });
        await server.close();
      }
    }
  });

  it('are counted with their sizes, and encoded once if they are broadcast, above an interceptor of ours', async () => {
    const counting = encodings();
    const sizes: unknown[] = [];
    const look: Middleware = ({ stats }) => ({ end: () => void sizes.push(stats.bytes) });
    const shared = broadcast({ text: 'for all' });
    const server = await start(one => mount(one, counting.definition, { stream: () => [shared] }, look), {
      interceptors: [interceptor(look)],
    });
    for (let call = 0; call < 3; call++) expect((await server.call()).messages).to.deep.equal([shared]);
    expect(counting.count).to.equal(1);
    const own = await start(
      one => one.addService(definition, { stream: produce(() => ['a', 'bb', 'ccc'], quiet, look) }),
      { interceptors: [interceptor(look)] },
    );
    await own.call();
    expect(sizes).to.deep.equal([18, 18, 18, 18, 18, 18, 12, 12]);
  });

  it('keep a call open until the last is taken', async () => {
    const ended: string[] = [];
    const look: Middleware = () => ({ end: ({ reason }) => void ended.push(reason) });
    const source: AnySource = async function* () {
      yield 1;
      for (let i = 0; i < 5; i++) await turn();
    };
    const server = await serve('produce', source, [look]);
    const session = connectRaw(server.port, { initialWindowSize: 0 });
    const stream = requestRaw(session);
    await new Promise(resolve => stream.once('response', resolve));
    for (let i = 0; i < 20; i++) await turn();
    expect(ended).to.deep.equal([]);
    session.settings({ initialWindowSize: 65_535 });
    stream.resume();
    await new Promise(resolve => stream.once('close', resolve));
    expect(ended).to.deep.equal(['completed']);
    session.destroy();
  });

  it('of a client that takes nothing are reset after its deadline and the grace', async () => {
    for (const on of mountNames) {
      const server = await serve(on, () => [1, 2, 3]);
      const session = connectRaw(server.port, { initialWindowSize: 0 });
      const stream = requestRaw(session, undefined, { 'grpc-timeout': '20m' });
      const closed = new Promise(resolve => stream.once('close', resolve));
      stream.resume();
      await closed;
      expect(stream.rstCode, on).to.equal(constants.NGHTTP2_CANCEL);
      session.destroy();
    }
  });
});

/** What channelz knows of the one connection of a server, once it was called. */
async function socketOf(port: number, call: () => Promise<unknown>): Promise<any> {
  const handlers = getChannelzHandlers() as Record<string, unknown>;
  const ask = (name: string, request: object): Promise<any> =>
    new Promise((resolve, reject) => {
      const handler = handlers[name] as (
        call: Partial<ServerUnaryCall<object, object>>,
        done: sendUnaryData<object>,
      ) => void;
      handler({ request, metadata: new Metadata() }, (error, value) =>
        error ? reject(error) : resolve(value),
      );
    });
  await call();
  const { server } = await ask('GetServers', { start_server_id: 0, max_results: 1000 });
  const own = server.find((one: any) => one.listen_socket.some(({ name }: any) => name.endsWith(`:${port}`)));
  const { socket_ref } = await ask('GetServerSockets', {
    server_id: own.ref.server_id,
    start_socket_id: 0,
    max_results: 10,
  });
  return (await ask('GetSocket', { socket_id: socket_ref[0].socket_id })).socket;
}
