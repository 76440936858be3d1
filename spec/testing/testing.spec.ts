import { Metadata, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { type Call, configure, produce, StatusError, wrap } from '../../lib/index.ts';
import { collect, open, type TestOptions } from '../../lib/testing/index.ts';
import { batch } from '../../middleware/batch.ts';
import { errors } from '../../middleware/errors.ts';
import { heartbeat } from '../../middleware/heartbeat.ts';
import { limits } from '../../middleware/limits.ts';
import { metadata } from '../../middleware/metadata.ts';
import { turn, until } from '../support/harness.ts';

const quiet = configure({ onError: () => {}, onOrphan: () => {}, cleanupGraceMs: 20 });

async function* numbers({ max }: { max: number }): AsyncGenerator<number> {
  for (let num = 1; num <= max; num++) yield num;
}

/** Counts without end, and says how far it came and whether it was told to stop. */
function counter() {
  const seen = { pulled: 0, released: 0, aborted: undefined as unknown };
  async function* source(_request: object, call: Call): AsyncGenerator<number> {
    call.signal.addEventListener('abort', () => {
      seen.aborted = call.signal.reason;
    });
    try {
      for (;;) yield ++seen.pulled;
    } finally {
      await turn();
      seen.released += 1;
    }
  }
  return { seen, source };
}

/** Yields once, then waits for the end of the call. */
async function* parked(_request: object, call: Call): AsyncGenerator<string> {
  yield 'first';
  await new Promise(resolve => call.signal.addEventListener('abort', resolve));
}

/** A handler as people write them by hand. */
const handler = wrap<{ max: number }, number>(call => {
  call.sendMetadata(new Metadata());
  for (let num = 1; num <= call.request.max; num++) call.write(num);
  const trailer = new Metadata();
  trailer.set('x-by', 'hand');
  call.end(trailer);
});

describe('collect()', () => {
  it('answers with messages, headers, trailers and the outcome', async () => {
    async function* source({ max }: { max: number }, call: Call) {
      call.header.set('x-for', String(call.metadata.get('user')[0]));
      for (let num = 1; num <= max; num++) yield { num, path: call.path, peer: call.peer };
      call.trailer.set('x-count', String(max));
    }
    const sent = new Metadata();
    sent.set('user', 'ann');
    const result = await collect(source, { max: 2 }, { metadata: sent, path: '/a.B/C', peer: 'me:1' });
    expect(result.messages).to.deep.equal([
      { num: 1, path: '/a.B/C', peer: 'me:1' },
      { num: 2, path: '/a.B/C', peer: 'me:1' },
    ]);
    expect(result.header?.getMap()).to.deep.equal({ 'x-for': 'ann' });
    expect(result.trailer.getMap()).to.deep.equal({ 'x-count': '2' });
    expect(result.outcome).to.deep.equal({ code: 0, details: 'OK', reason: 'completed' });
    expect(result.finished).to.equal(true);
  });

  it('takes whatever a source may return', async () => {
    expect((await collect(() => [1, 2], {})).messages).to.deep.equal([1, 2]);
    expect((await collect(async () => numbers({ max: 2 }), {})).messages).to.deep.equal([1, 2]);
    const web = () =>
      new ReadableStream<number>({
        start(controller) {
          controller.enqueue(1);
          controller.close();
        },
      });
    expect((await collect(web, {})).messages).to.deep.equal([1]);
    expect((await collect(() => 5 as never, {}, { middleware: [quiet] })).outcome.code).to.equal(
      status.INTERNAL,
    );
  });

  it('tells how a source failed, with what it threw', async () => {
    async function* failing() {
      yield 1;
      throw new StatusError(status.NOT_FOUND, 'no such job');
    }
    const known = await collect(failing, {});
    expect(known.messages).to.deep.equal([1]);
    expect(known.outcome).to.include({ code: 5, details: 'no such job', reason: 'error' });
    const error = new TypeError('a bug');
    const unknown = await collect(
      () => {
        throw error;
      },
      {},
      { middleware: [quiet] },
    );
    expect(unknown.outcome).to.include({ code: 2, details: 'internal error', cause: error });
    expect(unknown.finished).to.equal(true);
  });

  it('cancels after so many messages: the signal aborts, the source finishes, nothing more is taken', async () => {
    const { seen, source } = counter();
    const { messages, outcome, trailer, finished } = await collect(source, {}, { cancelAfter: 3 });
    expect(messages).to.deep.equal([1, 2, 3]);
    expect(outcome).to.include({ code: 1, reason: 'cancelled' });
    expect(trailer.getMap()).to.deep.equal({});
    expect(finished).to.equal(true);
    expect(seen).to.include({ pulled: 3, released: 1 });
    expect(seen.aborted).to.include({ code: status.CANCELLED });
    expect((await collect(source, {}, { cancelAfter: 0 })).messages).to.deep.equal([]);
  });

  it('ends at the deadline, also when the client does not read', async () => {
    for (const stall of [{}, { stallAfter: 1 }]) {
      const deadline = Date.now() + 20;
      const { outcome, messages, finished } = await collect(parked, {}, { deadline, ...stall });
      expect(outcome).to.include({ code: 4, reason: 'deadline' });
      expect(messages).to.deep.equal(['first']);
      expect(finished).to.equal(true);
      expect(Date.now() - deadline).to.be.within(-5, 2000);
    }
  });

  it('is one message ahead of a slow client, and no more', async () => {
    const { seen, source } = counter();
    const since = performance.now();
    const { messages } = await collect(source, {}, { slowByMs: 8, cancelAfter: 4 });
    expect(performance.now() - since).to.be.within(28, 1000);
    expect(messages).to.deep.equal([1, 2, 3, 4]);
    expect(seen.pulled).to.equal(4);
  });

  it('tells of a source that does not finish', async () => {
    async function* stuck() {
      yield 1;
      await new Promise(() => {});
    }
    const call = open(stuck, {}, { graceMs: 10, middleware: [quiet] });
    await until('the message', () => call.messages.length === 1);
    await turn();
    call.cancel();
    const { finished, outcome } = await call.result;
    expect(finished).to.equal(false);
    expect(outcome.reason).to.equal('cancelled');
  });

  it('runs middleware', async () => {
    const merge = (list: any[]): any => list;
    const middleware = [
      metadata({ header: { 'x-h': 'h' }, trailer: { 'x-count': ({ messages }) => messages } }),
      errors({ rules: [[RangeError, status.OUT_OF_RANGE]] }),
      batch({ maxItems: 2, maxDelayMs: 5, merge }),
    ];
    async function* source({ max }: { max: number }) {
      yield* numbers({ max });
      throw new RangeError('over');
    }
    const { messages, header, trailer, outcome } = await collect(source, { max: 3 }, { middleware });
    expect(messages).to.deep.equal([[1, 2], [3]]);
    expect(header?.get('x-h')).to.deep.equal(['h']);
    expect(trailer.get('x-count')).to.deep.equal(['2']);
    expect(outcome.code).to.equal(status.OUT_OF_RANGE);
  });

  it('lets the timers of middleware run', async () => {
    const beats = [heartbeat({ everyMs: 5, make: () => 'beat' })];
    const { messages } = await collect(parked, {}, { middleware: beats, cancelAfter: 3 });
    expect(messages).to.deep.equal(['first', 'beat', 'beat']);
    const aged = await collect(parked, {}, { middleware: [limits({ maxStreamAgeMs: 5 })] });
    expect(aged.outcome).to.include({ code: 14, reason: 'limit' });
    expect(aged.trailer.get('grpc-retry-pushback-ms')).to.deep.equal(['0']);
    const stalled = await collect(
      counter().source,
      {},
      { middleware: [limits({ maxStallMs: 10 })], stallAfter: 2 },
    );
    expect(stalled.outcome).to.include({ code: 10, reason: 'limit' });
    expect(stalled.messages).to.deep.equal([1, 2]);
  });

  it('does not start a source that a middleware refuses', async () => {
    const full = limits({ maxStreams: 1 });
    const first = open(parked, {}, { middleware: [full] });
    const { seen, source } = counter();
    const { outcome, finished } = await collect(source, {}, { middleware: [full] });
    expect(outcome.code).to.equal(status.RESOURCE_EXHAUSTED);
    expect({ finished, pulled: seen.pulled }).to.deep.equal({ finished: true, pulled: 0 });
    first.cancel();
    await first.result;
  });

  it('encodes messages when asked, so that sizes are known and failures are seen', async () => {
    const serialize = (message: unknown) => Buffer.from(JSON.stringify(message));
    const middleware = [quiet, metadata({ trailer: { 'x-bytes': ({ bytes }) => bytes } })];
    const good = await collect(numbers, { max: 10 }, { serialize, middleware });
    expect(good.trailer.get('x-bytes')).to.deep.equal(['11']);
    const bad = await collect(() => [1, 2n], {}, { serialize, middleware });
    expect(bad.messages).to.deep.equal([1]);
    expect(bad.outcome.details).to.equal(
      'the message at index 1 of /leat.testing/Call could not be serialised',
    );
  });

  describe('of what is only like a promise', () => {
    let runs = 0;
    /** Runs each time it is waited for, as a query of some databases does. */
    const query = (answer: unknown) => ({
      // biome-ignore lint/suspicious/noThenProperty: that is what such a query is.
      then(resolve: (answer: unknown) => void) {
        runs += 1;
        resolve(answer);
      },
    });
    beforeEach(() => {
      runs = 0;
    });

    const methods: Record<string, [method: () => unknown, options: TestOptions]> = {
      'a unary answer': [() => query(1), { kind: 'unary' }],
      'a stream': [() => query([1]), {}],
      'a step of one': [
        () => {
          const steps = [{ done: true }, query({ done: false, value: 1 })];
          return { [Symbol.asyncIterator]: () => ({ next: () => steps.pop() }) };
        },
        {},
      ],
    };
    for (const [what, [method, options]] of Object.entries(methods))
      it(`runs it once, as a server does: ${what}`, async () => {
        const { messages, finished } = await collect(method as never, {}, options);
        expect({ messages, finished, runs }).to.deep.equal({ messages: [1], finished: true, runs: 1 });
      });
  });

  describe('of handlers', () => {
    it('takes what produce made, with its middleware', async () => {
      const made = produce(numbers, metadata({ trailer: { 'x-t': 't' } }));
      const { messages, trailer, finished } = await collect(made, { max: 3 });
      expect(messages).to.deep.equal([1, 2, 3]);
      expect(trailer.get('x-t')).to.deep.equal(['t']);
      expect(finished).to.equal(true);
    });

    it('takes what wrap made', async () => {
      const { messages, header, trailer, outcome } = await collect(handler, { max: 40 });
      expect(messages).to.have.length(40);
      expect(header).to.be.instanceOf(Metadata);
      expect(trailer.get('x-by')).to.deep.equal(['hand']);
      expect(outcome.reason).to.equal('completed');
    });

    it('gives a wrapped handler back-pressure, cancel and errors', async () => {
      let written = 0;
      let told = false;
      const endless = wrap<object, number>(async call => {
        call.on('cancelled', () => {
          told = true;
        });
        while (!call.cancelled)
          if (!call.write(++written)) await new Promise(resolve => call.once('drain', resolve));
      });
      const { messages, outcome, finished } = await collect(endless, {}, { cancelAfter: 20 });
      expect(messages).to.have.length(20);
      expect(written).to.be.within(20, 60);
      expect(outcome.reason).to.equal('cancelled');
      expect({ told, finished }).to.deep.equal({ told: true, finished: true });
      const failing = wrap<object, number>(async call => {
        call.write(1);
        throw new StatusError(status.ABORTED, 'no more');
      });
      const failed = await collect(failing, {});
      expect(failed.messages).to.deep.equal([1]);
      expect(failed.outcome).to.include({ code: 10, details: 'no more' });
    });
  });

  describe('options', () => {
    const wrong: [TestOptions, string][] = [
      [{ cancelAfter: -1 }, 'Expected `cancelAfter` to be an integer from 0 and up, got `-1` (number)'],
      [{ stallAfter: 0.5 }, 'Expected `stallAfter` to be an integer from 0 and up'],
      [{ slowByMs: -1 }, 'Expected `slowByMs` to be a number of milliseconds'],
      [{ graceMs: Number.NaN }, 'Expected `graceMs` to be a number of milliseconds'],
      [
        { deadline: 'soon' as never },
        'Expected `deadline` to be a date, or milliseconds since the epoch, got `soon` (string)',
      ],
      [{ serialize: 1 as never }, 'Expected `serialize` to be a function'],
      [{ middleware: [1 as never] }, 'Expected `middleware[0]` to be a function'],
      [{ middleware: (() => {}) as never }, 'Expected `middleware` to be a list of middleware, got'],
      [{ metadata: {} as never }, 'Expected `metadata` to be a grpc.Metadata, got `Object` (object)'],
      [{ metadata: null as never }, 'Expected `metadata` to be a grpc.Metadata, got `null` (object)'],
    ];
    for (const [given, sentence] of wrong)
      it(`refuses ${JSON.stringify(given)}: ${sentence}`, () => {
        expect(() => collect(numbers, { max: 1 }, given)).to.throw(TypeError, sentence);
      });
    const passed: Record<string, () => Date | number> = {
      'the epoch, as a number': () => 0,
      'the epoch, as a date': () => new Date(0),
      'an hour ago': () => Date.now() - 3_600_000,
      'a second ago': () => Date.now() - 1000,
      now: () => new Date(),
    };
    for (const [when, deadline] of Object.entries(passed))
      it(`ends at once at a deadline that has passed: ${when}`, async () => {
        const { outcome, finished } = await collect(parked, {}, { deadline: deadline() });
        expect(outcome).to.include({ code: status.DEADLINE_EXCEEDED, reason: 'deadline' });
        expect(finished).to.equal(true);
      });

    it('refuses what is no source', () => {
      expect(() => collect(5 as never, {})).to.throw(TypeError, 'Expected `target` to be a function');
    });
  });
});

describe('open()', () => {
  it('pauses and resumes the client', async () => {
    const { seen, source } = counter();
    const call = open(source, {});
    await until('five messages', () => call.messages.length >= 5);
    call.pause();
    for (let turns = 0; turns < 5; turns++) await turn();
    const [taken, pulled] = [call.messages.length, seen.pulled];
    for (let turns = 0; turns < 20; turns++) await turn();
    expect(call.messages).to.have.length(taken);
    expect(seen.pulled).to.equal(pulled);
    expect(pulled).to.be.at.most(taken + 1);
    call.resume();
    await until('more messages', () => call.messages.length > taken + 5);
    call.cancel();
    const { messages, outcome } = await call.result;
    expect(messages).to.deep.equal(messages.map((_, index) => index + 1));
    expect(outcome.reason).to.equal('cancelled');
    expect(seen.released).to.equal(1);
  });

  it('may cancel twice, and after the end', async () => {
    const call = open(numbers, { max: 2 });
    const { outcome } = await call.result;
    call.cancel();
    call.cancel();
    expect(outcome.reason).to.equal('completed');
  });

  it('tells who wrote the test of requests whose iterator breaks its protocol', async () => {
    async function* echo(requests: AsyncIterable<number>) {
      yield* requests;
    }
    for (const step of [undefined, null, 5]) {
      const requests = { [Symbol.asyncIterator]: () => ({ next: async () => step as never }) };
      const error = await open(echo, requests, { kind: 'bidi' }).result.catch(error => error);
      expect(error).to.be.instanceOf(TypeError);
      expect(error.message).to.match(/^Expected `next\(\) of requests\[0\]` to be an object, got `/);
    }
  });

  // The suite fails by itself when a rejection is nobody's.
  it('may be left without asking for its result, also when a request is none', async () => {
    let ended = false;
    async function* echo(requests: AsyncIterable<number>) {
      try {
        yield* requests;
      } finally {
        ended = true;
      }
    }
    const call = open(echo, [1, null as never], { kind: 'bidi' });
    await until('the method has finished', () => ended);
    for (let turns = 0; turns < 5; turns++) await turn();
    call.cancel();
    expect(await call.result.catch(error => error)).to.be.instanceOf(TypeError);
  });

  it('S25 never aborts the signal of a call that ended well', async () => {
    let signal: AbortSignal | undefined;
    async function* source(_request: object, call: Call) {
      signal = call.signal;
      yield 1;
    }
    await open(source, {}).result;
    for (let turns = 0; turns < 5; turns++) await turn();
    expect(signal?.aborted).to.equal(false);
  });
});
