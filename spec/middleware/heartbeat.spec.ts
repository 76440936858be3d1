import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import {
  type Call,
  configure,
  counters,
  interceptor,
  type Middleware,
  StatusError,
} from '../../lib/index.ts';
import { batch } from '../../middleware/batch.ts';
import { type HeartbeatOptions, heartbeat } from '../../middleware/heartbeat.ts';
import { limits } from '../../middleware/limits.ts';
import { metadata } from '../../middleware/metadata.ts';
import {
  type AnySource,
  type MountName,
  mountNames,
  type Reply,
  serve,
  stopAll,
  until,
} from '../support/harness.ts';
import { rawCall } from '../support/raw.ts';

const beat = { beat: true };
const make = () => beat;
const sleep = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));

/** Yields so many numbers at once, then waits for the end of the call. */
const parked: AnySource = async function* ({ max = 1 }, call: Call) {
  for (let num = 1; num <= max; num++) yield num;
  await new Promise(resolve => call.signal.addEventListener('abort', resolve));
};

/** Yields so many numbers, with a wait before each. */
const steady: AnySource = async function* ({ max, everyMs }) {
  for (let num = 1; num <= max; num++) {
    await sleep(everyMs);
    yield num;
  }
};

/** Three messages, beats that are no data, and an end for want of data. */
function expectIdle({ messages, trailer, code, details }: Reply): void {
  expect(messages.slice(0, 5)).to.deep.equal([1, 2, 3, beat, beat]);
  expect({ code, details }).to.deep.equal({
    code: status.UNAVAILABLE,
    details: 'the stream was idle for too long',
  });
  expect(trailer.getMap()).to.include({ 'x-count': '3', 'x-bytes': '3' });
}

describe('heartbeat()', () => {
  afterEach(stopAll);

  for (const on of ['produce', 'wrap', 'mount'] as const)
    it(`M15 is no data for an interceptor either, when it stands on ${on} within`, async () => {
      const copying: Middleware = (_call, next) => ({
        message: message => next.message(typeof message === 'object' ? { ...message } : message),
      });
      const around = interceptor(
        metadata({ trailer: { 'x-count': ({ messages }) => messages, 'x-bytes': ({ bytes }) => bytes } }),
        limits({ idleTimeoutMs: 400 }),
        copying,
      );
      const list = [copying, heartbeat({ everyMs: 8, make })];
      const server = await serve(on, parked, list, { interceptors: [around] });
      const reply = await server.call({ max: 3 });
      expectIdle(reply);
    });

  for (const on of mountNames) describe(`on ${on}`, () => behaves(on));

  describe('options', () => {
    const wrong: [Partial<HeartbeatOptions<any>>, string][] = [
      [
        { make, everyMs: 0 },
        'Expected `everyMs` to be a number of milliseconds from 1 to 2147483647, got `0`',
      ],
      [{ make, everyMs: '5' as never }, 'Expected `everyMs` to be a number of milliseconds'],
      [{ everyMs: 5 }, 'Expected `make` to be a function, got `undefined` (undefined)'],
    ];
    for (const [given, sentence] of wrong)
      it(`refuses ${JSON.stringify(given)}`, () => {
        expect(() => heartbeat(given as never)).to.throw(TypeError, sentence);
      });
  });
});

function behaves(on: MountName): void {
  it('M14 sends one each time the stream was idle for so long', async () => {
    const server = await serve(on, parked, [heartbeat({ everyMs: 15, make })]);
    const since = performance.now();
    const calling = server.open();
    const messages: unknown[] = [];
    calling.stream.on('data', message => messages.push(message));
    await until('three heartbeats', () => messages.length === 4);
    expect(performance.now() - since).to.be.within(43, 1000);
    expect(messages).to.deep.equal([1, beat, beat, beat]);
    calling.cancel();
  });

  it('M14 sends one also before the first message, and none to a stream that is busy', async () => {
    const silent = await serve(on, parked, [heartbeat({ everyMs: 10, make })]);
    const calling = silent.open({ max: 0 });
    expect(await new Promise(resolve => calling.stream.once('data', resolve))).to.deep.equal(beat);
    calling.cancel();
    const busy = await serve(on, steady, [heartbeat({ everyMs: 200, make })]);
    const { messages } = await busy.call({ max: 30, everyMs: 8 });
    expect(messages).to.deep.equal(Array.from({ length: 30 }, (_, index) => index + 1));
  });

  it('M15 is no data: not for counts, not for trailers, not for an idle timeout', async () => {
    let stats: Call['stats'] | undefined;
    const look: Middleware = call => {
      stats = call.stats;
    };
    const server = await serve(on, parked, [
      look,
      heartbeat({ everyMs: 8, make }),
      metadata({ trailer: { 'x-count': ({ messages }) => messages, 'x-bytes': ({ bytes }) => bytes } }),
      limits({ idleTimeoutMs: 400 }),
    ]);
    const reply = await server.call({ max: 3 });
    expectIdle(reply);
    expect(stats).to.include({ messages: 3, bytes: 3, waiting: undefined });
    expect(stats?.sourceMs).to.be.within(390, 3000);
    // Gaps are between whatever goes out: beats count.
    expect(stats?.maxGapMs).to.be.below(300);
  });

  it('M16 stops at once at the end, whatever that was', async () => {
    let made = 0;
    const counting = () => {
      made += 1;
      return beat;
    };
    const ends: string[] = [];
    const seen: Middleware = () => ({ end: ({ reason }) => void ends.push(reason) });
    const server = await serve(on, parked, [seen, heartbeat({ everyMs: 5, make: counting })]);
    const calling = server.open();
    await until('two heartbeats', () => made >= 2);
    calling.cancel();
    await until('the server knows', () => ends.length > 0);
    const [then, late] = [made, counters().lateMessages];
    await sleep(20);
    expect(made).to.equal(then);
    expect(counters().lateMessages).to.equal(late);
    const short = await serve(on, () => [1, 2], [heartbeat({ everyMs: 5, make: counting })]);
    expect((await short.call()).messages).to.deep.equal([1, 2]);
    await sleep(20);
    expect(made).to.equal(then);
  });

  it('sends none while the client is the one that is slow, and none before the source starts', async () => {
    let made = 0;
    const counting = () => {
      made += 1;
      return beat;
    };
    const block = 'x'.repeat(10_000);
    const endless: AnySource = async function* () {
      for (;;) yield block;
    };
    const stalled = await serve(on, endless, [heartbeat({ everyMs: 5, make: counting })]);
    const raw = rawCall(stalled.port);
    await new Promise(resolve => raw.stream.once('response', resolve));
    await sleep(15);
    made = 0;
    await sleep(20);
    expect(made).to.equal(0);
    raw.socket.destroy();
    let go = () => {};
    const held: Middleware = () => ({
      start(next) {
        go = next;
      },
    });
    const waiting = await serve(on, parked, [heartbeat({ everyMs: 5, make: counting }), held]);
    const calling = waiting.open();
    await sleep(20);
    expect(made).to.equal(0);
    go();
    expect(await new Promise(resolve => calling.stream.once('data', resolve))).to.equal(1);
    calling.cancel();
  });

  it('goes on while another layer holds the next message', async () => {
    let held = 0;
    const holding: Middleware = () => ({
      ready() {
        held += 1;
        return held > 1 ? new Promise<void>(() => {}) : undefined;
      },
    });
    const server = await serve(on, parked, [heartbeat({ everyMs: 15, make }), holding]);
    const calling = server.open({ max: 2 });
    const messages: unknown[] = [];
    calling.stream.on('data', message => messages.push(message));
    // A handler that was written by hand may be a message ahead.
    const beats = () => messages.filter(message => typeof message !== 'number');
    await until('three heartbeats', () => beats().length === 3);
    expect(beats()).to.deep.equal([beat, beat, beat]);
    calling.cancel();
  });

  it('goes on while a rate does, and while a batch waits', async () => {
    for (const layer of [limits({ maxMessagesPerSecond: 0.5 }), batch({ maxDelayMs: 60_000 })]) {
      const server = await serve(on, parked, [heartbeat({ everyMs: 15, make }), layer]);
      const calling = server.open({ max: 3 });
      const messages: unknown[] = [];
      calling.stream.on('data', message => messages.push(message));
      await until('three heartbeats', () => messages.length > 3);
      expect(messages.filter(message => message !== 1).slice(0, 3)).to.deep.equal([beat, beat, beat]);
      calling.cancel();
    }
  });

  it('does not pile up before a client that reads nothing', async () => {
    let made = 0;
    const large = () => {
      made += 1;
      return { beat: 'x'.repeat(20_000) };
    };
    const server = await serve(on, parked, [heartbeat({ everyMs: 2, make: large })]);
    const raw = rawCall(server.port);
    await until('the window of HTTP/2 is full', () => made >= 4);
    // What lies in between holds some: a client that took them had had hundreds by then.
    for (let i = 0; i < 15; i++) await sleep(20);
    expect(made).to.be.below(20);
    raw.socket.destroy();
  });

  it('goes past a batch that is listed after it', async () => {
    const merge = (messages: unknown[]): any => ({ list: messages });
    const server = await serve(on, parked, [
      heartbeat({ everyMs: 20, make }),
      batch({ maxDelayMs: 5, merge }),
    ]);
    const calling = server.open({ max: 2 });
    const messages: unknown[] = [];
    calling.stream.on('data', message => messages.push(message));
    await until('a heartbeat', () => messages.length === 2);
    expect(messages).to.deep.equal([{ list: [1, 2] }, beat]);
    calling.cancel();
  });

  for (const [what, answer] of [
    ['a promise', async () => beat],
    ['a promise that rejects', async () => Promise.reject(new Error('no pulse'))],
    ['nothing', () => undefined],
  ] as const)
    it(`ends the call when make answers with ${what}, and says so`, async () => {
      const errors: unknown[] = [];
      const hear = configure({ onError: error => errors.push(error) });
      const server = await serve(on, parked, [hear, heartbeat({ everyMs: 5, make: answer })]);
      expect(await server.call()).to.include({ code: status.UNKNOWN, details: 'internal error' });
      expect(String(errors[0])).to.include('TypeError: Expected `make()` to return a message, got `');
      expect(errors).to.have.length(1);
    });

  it('ends the call when the message cannot be made, or not be sent', async () => {
    const broken = () => {
      throw new StatusError(status.INTERNAL, 'no pulse');
    };
    const server = await serve(on, parked, [heartbeat({ everyMs: 5, make: broken })]);
    expect(await server.call()).to.include({ code: status.INTERNAL, details: 'no pulse' });
    const big = await serve(on, parked, [heartbeat({ everyMs: 5, make: () => ({ big: 1n }) })]);
    expect((await big.call()).code).to.equal(status.INTERNAL);
  });
}
