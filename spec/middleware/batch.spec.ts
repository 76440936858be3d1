import { expect } from 'chai';
import { type Call, drain, type Middleware, StatusError } from '../../lib/index.ts';
import { type BatchOptions, batch } from '../../middleware/batch.ts';
import {
  type AnySource,
  type MountName,
  mountNames,
  serve,
  stopAll,
  turn,
  until,
} from '../support/harness.ts';
import { rawCall } from '../support/raw.ts';

const numbers: AnySource = ({ max }) => Array.from({ length: max }, (_, index) => index + 1);

/** Yields so many numbers at once, then waits for the end of the call. */
const parked: AnySource = async function* ({ max }, call: Call) {
  for (let num = 1; num <= max; num++) yield num;
  await new Promise(resolve => call.signal.addEventListener('abort', resolve));
};

/** Messages become lists of messages. */
const merge = (messages: unknown[]): any => ({ list: messages });

/** Writes down what the layer outside it is sent. */
function spy(): { sent: any[]; outside: Middleware; ends: string[] } {
  const sent: unknown[] = [];
  const ends: string[] = [];
  const outside: Middleware = (_call, next) => ({
    message(message) {
      sent.push(message);
      next.message(message);
    },
    end: ({ reason }) => void ends.push(reason),
  });
  return { sent, outside, ends };
}

/** Waits until a count has not moved in so many turns, which a busy machine makes long. */
async function standstill(count: () => number): Promise<void> {
  let last = 0;
  for (let still = 0; still < 15; await sleep(2)) {
    still = last === count() && last > 0 ? still + 1 : 0;
    last = count();
  }
}

const sleep = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));

describe('batch()', () => {
  afterEach(stopAll);
  for (const on of mountNames) describe(`on ${on}`, () => behaves(on));

  describe('options', () => {
    const wrong: [BatchOptions<any>, string][] = [
      [{ maxItems: 0 }, 'Expected `maxItems` to be an integer from 1 and up, got `0` (number)'],
      [{ maxBytes: 0.5, size: () => 1 }, 'Expected `maxBytes` to be an integer from 1 and up'],
      [{ maxBytes: 10 }, 'Expected `size` to be a function, as `maxBytes` is given, got `undefined`'],
      [{ maxDelayMs: -1 }, 'Expected `maxDelayMs` to be a number of milliseconds from 0 to 2147483647'],
      [{ merge: 'all' as never }, 'Expected `merge` to be a function, got `all` (string)'],
      [{ onDrop: 1 as never }, 'Expected `onDrop` to be a function'],
    ];
    for (const [options, sentence] of wrong)
      it(`refuses ${JSON.stringify(options)}`, () => {
        expect(() => batch(options)).to.throw(TypeError, sentence);
      });
  });
});

function behaves(on: MountName): void {
  it('M6 flushes at maxItems and at the end, M7 and never an empty batch', async () => {
    const server = await serve(on, numbers, [batch({ maxItems: 4, merge })]);
    const { messages } = await server.call({ max: 10 });
    expect(messages).to.deep.equal([{ list: [1, 2, 3, 4] }, { list: [5, 6, 7, 8] }, { list: [9, 10] }]);
    expect((await server.call({ max: 4 })).messages).to.deep.equal([{ list: [1, 2, 3, 4] }]);
    expect((await server.call({ max: 0 })).messages).to.deep.equal([]);
  });

  it('M6 flushes at maxBytes, M9 and a single message beyond it goes alone', async () => {
    const source: AnySource = () => ['aaa', 'bbb', 'ccc', 'a long one', 'd', 'e'];
    const size = (text: string) => text.length;
    const server = await serve(on, source, [batch({ maxBytes: 7, size, merge })]);
    const { messages } = await server.call();
    const lists = messages.map(({ list }) => list.join(' '));
    expect(lists).to.deep.equal(['aaa bbb', 'ccc', 'a long one', 'd e']);
  });

  it('sends the messages as they are without merge, together', async () => {
    const { sent, outside } = spy();
    const server = await serve(on, parked, [outside, batch({ maxItems: 3, maxDelayMs: 10_000 })]);
    const calling = server.open({ max: 7 });
    await until('two batches went out', () => sent.length === 6);
    await sleep(5);
    expect(sent).to.deep.equal([1, 2, 3, 4, 5, 6]);
    calling.cancel();
    await calling.reply;
  });

  it('M13 sends the first message within maxDelay, also when it stays the only one', async () => {
    const delays: number[] = [];
    const source: AnySource = async function* (_request, call: Call) {
      for (let round = 0; round < 3; round++) {
        yield performance.now();
        await sleep(20);
      }
      await new Promise(resolve => call.signal.addEventListener('abort', resolve));
    };
    const measure: Middleware = (_call, next) => ({
      message(message) {
        delays.push(performance.now() - message.list[0]);
        next.message(message);
      },
    });
    const server = await serve(on, source, [measure, batch({ maxDelayMs: 10, merge })]);
    const calling = server.open();
    await until('three batches', () => delays.length === 3);
    calling.cancel();
    await calling.reply;
    for (const delay of delays) expect(delay).to.be.within(8, 2000);
  });

  it('M5 M11 keeps the order within batches and across them, whatever made each flush', async () => {
    const source: AnySource = async function* ({ max }) {
      for (let num = 1; num <= max; num++) {
        if (num % 97 === 0) await sleep(2);
        yield num;
      }
    };
    for (const options of [{}, { merge }]) {
      const server = await serve(on, source, [batch({ maxItems: 7, maxDelayMs: 1, ...options })]);
      const { messages } = await server.call({ max: 2000 });
      const all = messages.flatMap(message => message.list ?? message);
      expect(all).to.deep.equal(Array.from({ length: 2000 }, (_, index) => index + 1));
    }
  });

  it('M6 flushes on an error, before its status', async () => {
    const source: AnySource = async function* () {
      yield 1;
      yield 2;
      throw new StatusError(8, 'no more');
    };
    const { ends, outside, sent } = spy();
    const server = await serve(on, source, [outside, batch({ merge })]);
    const { messages, code, details } = await server.call();
    expect({ messages, code, details }).to.deep.equal({
      messages: [{ list: [1, 2] }],
      code: 8,
      details: 'no more',
    });
    expect(sent).to.have.length(1);
    expect(ends).to.deep.equal(['error']);
  });

  it('L7 flushes when the server is drained', async () => {
    let yielded = 0;
    const deaf: AnySource = async function* () {
      while (yielded < 3) yield ++yielded;
      await new Promise(() => {});
    };
    const server = await serve(on, deaf, [batch({ maxDelayMs: 10_000, merge })]);
    const calling = server.open();
    await until('three messages are held', () => yielded === 3);
    await turn();
    await drain(server.server, { graceMs: 0 });
    const { messages, code } = await calling.reply;
    expect({ messages, code }).to.deep.equal({ messages: [{ list: [1, 2, 3] }], code: 14 });
  });

  it('M12 drops what is held when the client cancels, and counts it', async () => {
    const dropped: unknown[] = [];
    const { sent, outside, ends } = spy();
    const onDrop = (count: number, call: Call) => dropped.push([count, call.path]);
    const server = await serve(on, parked, [
      outside,
      batch({ maxItems: 2, maxDelayMs: 10_000, merge, onDrop }),
    ]);
    const calling = server.open({ max: 3 });
    calling.stream.once('data', () => calling.cancel());
    await calling.reply;
    await until('the server knows', () => ends.length > 0);
    await sleep(5);
    expect(ends).to.deep.equal(['cancelled']);
    expect(sent).to.deep.equal([{ list: [1, 2] }]);
    expect(dropped).to.deep.equal([[1, '/spec.Service/Stream']]);
  });

  it('M8 leaves no timer behind that flushes later', async () => {
    let merged = 0;
    const counting = (messages: unknown[]) => {
      merged += 1;
      return merge(messages);
    };
    const server = await serve(on, numbers, [batch({ maxDelayMs: 5, merge: counting })]);
    await server.call({ max: 3 });
    expect(merged).to.equal(1);
    await sleep(15);
    expect(merged).to.equal(1);
  });

  it('R3 holds one batch at most beyond the window while the client does not read', async () => {
    const block = 'x'.repeat(1000);
    let pulled = 0;
    const source: AnySource = async function* () {
      for (;;) yield `${++pulled}${block}`;
    };
    const server = await serve(on, source, [batch({ maxItems: 20, maxDelayMs: 1, merge })]);
    const raw = rawCall(server.port);
    await standstill(() => pulled);
    const ahead = pulled;
    await sleep(20);
    expect(pulled).to.equal(ahead);
    // The handler that was written by hand has a Writable before us, with 16 messages.
    expect(pulled).to.be.below((65_535 + 131_072) / 1000 + 2 * 20 + 17);
    raw.socket.destroy();
  });

  it('M10 does not flush on and on while the client does not read, and loses nothing', async () => {
    const block = 'x'.repeat(1000);
    let merged = 0;
    const counting = (messages: unknown[]) => {
      merged += 1;
      return merge(messages);
    };
    const source: AnySource = () => Array.from({ length: 1500 }, (_, index) => `${index} ${block}`);
    const server = await serve(on, source, [batch({ maxItems: 20, maxDelayMs: 1, merge: counting })]);
    const calling = server.open({}, { paused: true });
    const messages: any[] = [];
    calling.stream.on('data', message => {
      if (messages.length === 0) calling.stream.pause();
      messages.push(message);
    });
    await standstill(() => merged);
    const standing = merged;
    await sleep(20);
    expect(merged).to.equal(standing);
    expect(merged).to.be.below(75);
    calling.stream.resume();
    await calling.reply;
    const all = messages.flatMap(message => message.list.map((text: string) => Number.parseInt(text, 10)));
    expect(all).to.deep.equal(Array.from({ length: 1500 }, (_, index) => index));
  });

  it('ends the call when merge throws, also when the delay is over', async () => {
    const broken = () => {
      throw new StatusError(13, 'cannot merge');
    };
    const late = await serve(on, parked, [batch({ maxDelayMs: 1, merge: broken })]);
    expect(await late.call({ max: 1 })).to.include({ code: 13, details: 'cannot merge' });
    const full = await serve(on, parked, [batch({ maxItems: 2, merge: broken })]);
    expect(await full.call({ max: 2 })).to.include({ code: 13, details: 'cannot merge' });
  });
}
