import { constants } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials, Metadata, ServerCredentials, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { type Call, compose, configure, interceptor, type Middleware, StatusError } from '../../lib/index.ts';
import { type LimitsOptions, limits } from '../../middleware/limits.ts';
import {
  type AnySource,
  type Calling,
  definition,
  type MountName,
  mountNames,
  type Reply,
  serve,
  stopAll,
  until,
} from '../support/harness.ts';
import { rawCall } from '../support/raw.ts';

/** Yields once, then waits for the end of the call. */
const parked: AnySource = async function* (_request, call: Call) {
  yield 'first';
  await new Promise(resolve => call.signal.addEventListener('abort', resolve));
};

const sleep = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));
const first = (calling: Calling) => new Promise(resolve => calling.stream.once('data', resolve));
const hint = ({ trailer }: Reply) => trailer.get('grpc-retry-pushback-ms')[0];
const reading = ({ code, details }: Reply) => ({ code, details });

/** Reads some KiB, then nothing for a moment, until the stream is closed. */
const slowly = (port: number, after?: (bytes: number) => void) => {
  const raw = rawCall(port);
  let bytes = 0;
  raw.stream.on('data', chunk => {
    bytes += chunk.length;
    raw.stream.pause();
    after?.(bytes);
    setTimeout(() => raw.stream.resume(), 12);
  });
  const since = performance.now();
  return new Promise<{ bytes: number; ms: number; code: unknown; reset: number | undefined }>(resolve => {
    let code: unknown;
    raw.stream.on('trailers', trailers => {
      code = trailers['grpc-status'];
    });
    raw.stream.on('close', () => {
      const { rstCode } = raw.stream;
      raw.socket.destroy();
      resolve({ bytes, ms: performance.now() - since, code, reset: rstCode || undefined });
    });
  });
};

describe('limits()', () => {
  afterEach(stopAll);
  for (const on of mountNames) describe(`on ${on}`, () => behaves(on));

  it('L9 limits nothing that is not given, and costs nothing then', () => {
    const call = { metadata: new Metadata() } as Call;
    const layer = limits({ maxStreams: 1 })(call, { message() {} });
    expect(Object.keys(layer ?? {})).to.deep.equal(['end']);
  });

  it('sees through an interceptor of ours what a client takes of a large message', async () => {
    const source: AnySource = () => ['x'.repeat(1_000_000)];
    const server = await serve('mount', source, [limits({ maxStallMs: 400 })], {
      interceptors: [interceptor()],
    });
    const { code, ms } = await slowly(server.port);
    expect(code).to.equal('0');
    expect(ms).to.be.above(450);
  });

  describe('options', () => {
    const wrong: [LimitsOptions, string][] = [
      [{ maxStreams: 0 }, 'Expected `maxStreams` to be an integer from 1 and up, got `0` (number)'],
      [{ maxStreamsPerPeer: 1.5 }, 'Expected `maxStreamsPerPeer` to be an integer from 1 and up'],
      [{ maxStreamsPerMethod: '9' as never }, 'Expected `maxStreamsPerMethod` to be an integer'],
      [{ maxStreamAgeMs: 0 }, 'Expected `maxStreamAgeMs` to be a number from 1 to 2147483647, got `0`'],
      [{ idleTimeoutMs: -5 }, 'Expected `idleTimeoutMs` to be a number from 1 to 2147483647'],
      [{ maxStallMs: Number.NaN }, 'Expected `maxStallMs` to be a number from 1 to 2147483647, got `NaN`'],
      [{ jitter: 2 }, 'Expected `jitter` to be a number from 0 to 1, got `2` (number)'],
      [{ maxMessagesPerSecond: 0 }, 'Expected `maxMessagesPerSecond` to be a number from 0.001'],
      [{ maxBytesPerSecond: null as never }, 'Expected `maxBytesPerSecond` to be a number from 0.001'],
      [{ peerOf: 'ip' as never }, 'Expected `peerOf` to be a function, got `ip` (string)'],
      [{}, 'Expected `options` to have at least one limit of maxStreams, maxStreamsPerPeer, '],
      [{ retryMs: 5, maxStreams: undefined } as never, 'Expected `options` to have at least one limit'],
      [{ retryMs: -1 }, 'Expected `retryMs` to be a number of milliseconds'],
    ];
    for (const [given, sentence] of wrong)
      it(`refuses ${JSON.stringify(given)}`, () => {
        expect(() => limits(given)).to.throw(TypeError, sentence);
      });
  });
});

function behaves(on: MountName): void {
  describe('streams at once', () => {
    const kinds: [LimitsOptions, string][] = [
      [{ maxStreams: 2 }, 'too many streams'],
      [{ maxStreamsPerPeer: 2 }, 'too many streams of this client'],
      [{ maxStreamsPerMethod: 2 }, 'too many streams of this method'],
    ];
    for (const [given, details] of kinds)
      it(`${Object.keys(given)} refuses one more, with a hint, until one has ended`, async () => {
        let started = 0;
        const source: AnySource = (request, call) => {
          started += 1;
          return parked(request, call);
        };
        const server = await serve(on, source, [limits({ ...given, retryMs: 250 })]);
        const open = [server.open(), server.open()];
        await Promise.all(open.map(first));
        const refused = await server.call();
        expect(reading(refused)).to.deep.equal({ code: status.RESOURCE_EXHAUSTED, details });
        expect(hint(refused)).to.equal('250');
        expect(started).to.equal(2);
        open[0]?.cancel();
        await open[0]?.reply;
        const again = await untilOpen(() => server.open());
        for (const calling of [again, open[1] as Calling]) calling.cancel();
      });

    it('counts clients apart by what peerOf says', async () => {
      const peerOf = (call: Call) => String(call.metadata.get('user-agent')[0] && call.request);
      const server = await serve(on, parked, [limits({ maxStreamsPerPeer: 1, peerOf })]);
      const one = server.open('ann');
      await first(one);
      expect((await server.call('ann')).code).to.equal(status.RESOURCE_EXHAUSTED);
      const other = server.open('bob');
      await first(other);
      for (const calling of [one, other]) calling.cancel();
    });

    for (const [what, answer] of [
      ['a promise', async () => 'tenant'],
      ['a promise that rejects', async () => Promise.reject(new Error('who?'))],
      ['nothing', () => undefined],
      ['a number', () => 7],
    ] as const)
      it(`lets nobody in when peerOf answers with ${what}, and says so`, async () => {
        const errors: unknown[] = [];
        const hear = configure({ onError: error => errors.push(error) });
        const server = await serve(on, parked, [
          hear,
          limits({ maxStreams: 1, maxStreamsPerPeer: 1, peerOf: answer as never }),
        ]);
        // No slot is lost: the next one fails alike.
        for (let i = 0; i < 2; i++)
          expect(reading(await server.call())).to.deep.equal({
            code: status.UNKNOWN,
            details: 'internal error',
          });
        expect(errors.map(error => String(error).slice(0, 54))).to.deep.equal(
          Array(2).fill('TypeError: Expected `peerOf()` to return a string, got'),
        );
      });

    it('does not count clients that have no address together', async () => {
      const guard = limits({ maxStreamsPerPeer: 1, maxStreams: 3 });
      const path = `unix:${join(tmpdir(), `leat-${process.pid}-${on}.sock`)}`;
      const server = await serve(on, parked, [guard]);
      await new Promise<void>((resolve, reject) =>
        server.server.bindAsync(path, ServerCredentials.createInsecure(), error =>
          error ? reject(error) : resolve(),
        ),
      );
      const tcp = server.open();
      await first(tcp);
      expect((await server.call()).details).to.equal('too many streams of this client');
      const client = new Client(path, credentials.createInsecure());
      const { requestSerialize, responseDeserialize } = definition.stream;
      const open = () =>
        client.makeServerStreamRequest(definition.stream.path, requestSerialize, responseDeserialize, {});
      const streams = [open(), open()];
      for (const stream of streams) stream.on('error', () => {});
      await Promise.all(streams.map(stream => new Promise(resolve => stream.once('data', resolve))));
      const refused = await new Promise<any>(resolve => open().on('error', resolve).resume());
      expect(refused.details).to.equal('too many streams');
      client.close();
      for (const stream of streams) stream.cancel();
      tcp.cancel();
    });

    it('X8 gives every slot back, however a call ends, and lets no more in than there are', async () => {
      let now = 0;
      let most = 0;
      const count: Middleware = () => {
        now += 1;
        most = Math.max(most, now);
        return {
          end() {
            now -= 1;
          },
        };
      };
      const source: AnySource = async function* ({ way }, call: Call) {
        if (way === 'throw') throw new StatusError(status.NOT_FOUND, 'no');
        yield way === 'unencodable' ? { big: 1n } : 1;
        if (way === 'end') return;
        await new Promise(resolve => call.signal.addEventListener('abort', resolve));
      };
      const broken: Middleware = call => {
        if ((call.request as any).way === 'layer') throw new StatusError(status.UNAUTHENTICATED, 'who?');
      };
      const closed: Middleware = call => {
        if ((call.request as any).way === 'closed')
          call.end({ code: status.UNAVAILABLE, details: 'closed', reason: 'limit' });
      };
      const server = await serve(on, source, [
        limits({ maxStreams: 5, maxStreamsPerPeer: 5, maxStreamsPerMethod: 5 }),
        compose(count, broken, closed),
      ]);
      const ways = ['end', 'throw', 'unencodable', 'layer', 'closed', 'cancel', 'deadline', 'destroy'];
      for (let round = 0; round < 3; round++)
        await Promise.all(
          ways.map(async way => {
            if (way === 'destroy') {
              const raw = rawCall(server.port);
              raw.stream.once('response', () => raw.socket.destroy());
              return new Promise(resolve => raw.socket.once('close', resolve));
            }
            const calling = server.open({ way }, way === 'deadline' ? { deadline: Date.now() + 20 } : {});
            if (way === 'cancel') calling.stream.once('data', () => calling.cancel());
            return await calling.reply;
          }),
        );
      await until('all have ended', () => now === 0);
      expect(most).to.be.within(1, 5);
      const open = Array.from({ length: 5 }, () => server.open({ way: 'stay' }));
      await Promise.all(open.map(first));
      expect((await server.call({ way: 'end' })).code).to.equal(status.RESOURCE_EXHAUSTED);
      for (const calling of open) calling.cancel();
    });
  });

  describe('maxStreamAgeMs', () => {
    it('L8 ends a stream that is parked, with the hint to come back at once', async () => {
      const outcomes: string[] = [];
      const seen: Middleware = () => ({ end: ({ reason }) => void outcomes.push(reason) });
      const server = await serve(on, parked, [seen, limits({ maxStreamAgeMs: 30, jitter: 0 })]);
      const since = performance.now();
      const reply = await server.call();
      expect(performance.now() - since).to.be.within(25, 1000);
      expect(reading(reply)).to.deep.equal({
        code: status.UNAVAILABLE,
        details: 'the stream has reached its maximum age',
      });
      expect(reply.messages).to.deep.equal(['first']);
      expect(hint(reply)).to.equal('0');
      expect(outcomes).to.deep.equal(['limit']);
    });

    it('L8 varies the age by the jitter, up and down', async () => {
      const { random } = Math;
      const ageWith = async (chance: number) => {
        const server = await serve(on, parked, [limits({ maxStreamAgeMs: 60, jitter: 0.5 })]);
        Math.random = () => chance;
        const calling = server.open();
        const since = performance.now();
        await first(calling).finally(() => {
          Math.random = random;
        });
        expect((await calling.reply).code).to.equal(status.UNAVAILABLE);
        return performance.now() - since;
      };
      expect(await ageWith(0)).to.be.within(27, 1000);
      expect(await ageWith(0.999)).to.be.within(85, 1000);
    });

    it('ends a busy stream between two messages: all that was sent arrives', async () => {
      let yielded = 0;
      const busy: AnySource = async function* () {
        for (;;) {
          yield ++yielded;
          if (yielded % 100 === 0) await sleep(1);
        }
      };
      const server = await serve(on, busy, [limits({ maxStreamAgeMs: 40, jitter: 0 })]);
      const { code, messages } = await server.call();
      expect(code).to.equal(status.UNAVAILABLE);
      expect(messages.length).to.be.within(100, yielded);
      expect(messages.every((message, index) => message === index + 1)).to.equal(true);
    });
  });

  describe('idleTimeoutMs', () => {
    it('ends a stream whose source yields nothing, with a hint', async () => {
      const server = await serve(on, parked, [limits({ idleTimeoutMs: 25, retryMs: 70 })]);
      const since = performance.now();
      const reply = await server.call();
      expect(performance.now() - since).to.be.within(22, 1000);
      expect(reading(reply)).to.deep.equal({
        code: status.UNAVAILABLE,
        details: 'the stream was idle for too long',
      });
      expect(hint(reply)).to.equal('70');
    });

    it('begins anew with each message', async () => {
      const slow: AnySource = async function* () {
        for (let num = 1; num <= 20; num++) {
          await sleep(15);
          yield num;
        }
      };
      const server = await serve(on, slow, [limits({ idleTimeoutMs: 250 })]);
      const { code, messages } = await server.call();
      expect({ code, count: messages.length }).to.deep.equal({ code: 0, count: 20 });
    });

    it('does not take a slow client for an idle source, nor a stream that is held back', async () => {
      const block = 'x'.repeat(10_000);
      const endless: AnySource = async function* () {
        for (;;) yield block;
      };
      const ends: string[] = [];
      const seen: Middleware = () => ({ end: ({ reason }) => void ends.push(reason) });
      const stalled = await serve(on, endless, [seen, limits({ idleTimeoutMs: 15 })]);
      const raw = rawCall(stalled.port);
      await new Promise(resolve => raw.stream.once('response', resolve));
      for (let turns = 0; turns < 4; turns++) await sleep(15);
      expect(ends).to.deep.equal([]);
      raw.socket.destroy();
      const quick: AnySource = async function* () {
        for (const item of [1, 2, 3]) {
          await sleep(1);
          yield item;
        }
      };
      const paced = await serve(on, quick, [limits({ idleTimeoutMs: 15, maxMessagesPerSecond: 25 })]);
      expect((await paced.call()).messages).to.deep.equal([1, 2, 3]);
    });
  });

  describe('maxStallMs', () => {
    it('S27 R3 ends a stream whose client accepts nothing, and releases its source', async () => {
      const block = 'x'.repeat(1000);
      let pulled = 0;
      let released = false;
      const endless: AnySource = async function* () {
        try {
          for (;;) yield `${++pulled}${block}`;
        } finally {
          released = true;
        }
      };
      const ends: unknown[] = [];
      const seen: Middleware = () => ({
        end: ({ code, details, reason }) => void ends.push({ code, details, reason }),
      });
      const server = await serve(on, endless, [seen, limits({ maxStallMs: 30 })]);
      const raw = rawCall(server.port);
      await until('the stream has ended', () => ends.length > 0);
      expect(ends).to.deep.equal([
        { code: status.ABORTED, details: 'the client did not read for too long', reason: 'limit' },
      ]);
      await until('the source is released', () => released);
      expect(pulled).to.be.below((65_535 + 131_072) / 1000 + 20);
      raw.socket.destroy();
    });

    it('frees what the client did not take', async () => {
      const block = 'x'.repeat(10_000);
      const endless: AnySource = async function* () {
        for (;;) yield block;
      };
      const server = await serve(on, endless, [limits({ maxStallMs: 10 })]);
      const raw = rawCall(server.port);
      await new Promise(resolve => raw.stream.once('close', resolve));
      expect(raw.stream.rstCode).to.equal(constants.NGHTTP2_REFUSED_STREAM);
      raw.socket.destroy();
    });

    it('leaves alone a client that reads, however slowly', async () => {
      const block = 'x'.repeat(10_000);
      const long: AnySource = () => Array.from({ length: 300 }, () => block);
      const server = await serve(on, long, [limits({ maxStallMs: 300 })]);
      const calling = server.open({}, { paused: true });
      let count = 0;
      calling.stream.on('data', () => {
        count += 1;
        if (count % 8 > 0) return;
        calling.stream.pause();
        setTimeout(() => calling.stream.resume(), 10);
      });
      const since = performance.now();
      const read = new Promise(resolve => calling.stream.once('end', resolve));
      expect((await calling.reply).code).to.equal(0);
      await read;
      expect(count).to.equal(300);
      expect(performance.now() - since).to.be.above(300);
    });
  });

  describe('maxStallMs, with a client that takes little at a time', () => {
    for (const [what, count, size] of [
      ['one large message', 1, 1_000_000],
      ['messages of a window each', 8, 131_072],
      ['messages of some KiB', 100, 10_000],
      ['small messages', 1000, 1000],
    ] as const)
      it(`leaves it alone: ${what}`, async () => {
        const source: AnySource = () => Array.from({ length: count }, () => 'x'.repeat(size));
        const server = await serve(on, source, [limits({ maxStallMs: 400 })]);
        const { bytes, ms, code, reset } = await slowly(server.port);
        expect({ code, reset }).to.deep.equal({ code: '0', reset: undefined });
        expect(bytes).to.equal(count * (size + 7));
        expect(ms).to.be.above(450);
      });

    it('leaves it alone where this process was busy for nearly that long', async () => {
      const source: AnySource = () => ['x'.repeat(1_000_000)];
      const server = await serve(on, source, [limits({ maxStallMs: 400 })]);
      let times = 0;
      const busy = (bytes: number) => {
        if (bytes < 150_000 * (times + 1)) return;
        const until = performance.now() + 365 + 6 * ++times;
        while (performance.now() < until);
      };
      expect(await slowly(server.port, busy)).to.include({ code: '0', reset: undefined, bytes: 1_000_007 });
      expect(times).to.equal(6);
    });

    it('leaves it what was sent before a limit ended its stream', async () => {
      const source: AnySource = async function* (_request, call: Call) {
        yield 'x'.repeat(1_000_000);
        await new Promise(resolve => call.signal.addEventListener('abort', resolve));
      };
      const server = await serve(on, source, [
        configure({ cleanupGraceMs: 200 }),
        limits({ maxStreamAgeMs: 30, jitter: 0 }),
      ]);
      const { bytes, code, reset } = await slowly(server.port);
      expect({ code, reset, bytes }).to.deep.equal({ code: '14', reset: undefined, bytes: 1_000_007 });
    });

    it('ends it when it stops to take, in the middle of a message', async () => {
      const ends: string[] = [];
      const seen: Middleware = () => ({ end: ({ details }) => void ends.push(details) });
      const source: AnySource = () => ['x'.repeat(1_000_000), 'y'];
      const server = await serve(on, source, [seen, limits({ maxStallMs: 40 })]);
      const raw = rawCall(server.port);
      raw.stream.once('data', () => raw.stream.pause());
      await until('the stream has ended', () => ends.length > 0);
      expect(ends).to.deep.equal(['the client did not read for too long']);
      raw.socket.destroy();
    });
  });

  describe('rates', () => {
    const timed = async (given: LimitsOptions, source: AnySource) => {
      const server = await serve(on, source, [limits(given)]);
      const since = performance.now();
      const { code, messages } = await server.call();
      expect(code).to.equal(0);
      return { ms: performance.now() - since, messages };
    };

    it('maxMessagesPerSecond slows the pull, and drops nothing', async () => {
      const source: AnySource = () => Array.from({ length: 60 }, (_, index) => index);
      const { ms, messages } = await timed({ maxMessagesPerSecond: 500 }, source);
      expect(messages).to.deep.equal(Array.from({ length: 60 }, (_, index) => index));
      // Of 60 messages, a twentieth of a second's worth goes at once, and after the last is no wait.
      expect(ms).to.be.within(60, 1000);
    });

    it('maxBytesPerSecond does so by size', async () => {
      const source: AnySource = () => Array.from({ length: 12 }, () => 'x'.repeat(998));
      const { ms, messages } = await timed({ maxBytesPerSecond: 100_000 }, source);
      expect(messages).to.have.length(12);
      expect(ms).to.be.within(50, 1000);
    });

    it('holds a source while it waits, and lets it go when the client cancels', async () => {
      let pulled = 0;
      let released = false;
      const source: AnySource = async function* () {
        try {
          for (;;) yield ++pulled;
        } finally {
          released = true;
        }
      };
      const server = await serve(on, source, [limits({ maxMessagesPerSecond: 0.5 })]);
      const calling = server.open();
      await first(calling);
      await sleep(20);
      // A handler that was written by hand is up to its own buffer of 16 messages ahead.
      expect(pulled).to.be.below(on === 'produce' || on === 'mount' ? 2 : 20);
      calling.cancel();
      await until('the source is released', () => released);
    });
  });
}

/** Opens a call as soon as there is a slot for it. */
async function untilOpen(open: () => Calling): Promise<Calling> {
  for (;;) {
    const calling = open();
    const answer = await Promise.race([first(calling).then(() => 'open'), calling.reply]);
    if (answer === 'open') return calling;
    await sleep(2);
  }
}
