import { EventEmitter } from 'node:events';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { type Call, configure, drain } from '../../lib/index.ts';
import { channel, chunk, from, merge, poll, replay, topic } from '../../lib/sources/index.ts';
import { type AnySource, serve, stopAll, turn, until } from '../support/harness.ts';

/** None of them is given a signal; each waits for what does not come. */
const returned: Record<string, () => AsyncIterable<unknown>> = {
  'a channel': () => channel(),
  'a subscription': () => topic().subscribe(),
  'a merge': () => merge(channel(), topic().subscribe()),
  'a poll': () => poll(() => new Promise(() => {}), { everyMs: 60_000 }),
  'chunks of a channel': () => chunk(channel(), { maxItems: 9 }),
  'a replay': () => replay([], channel(), { id: Number }),
  'what from() makes of an emitter': () => from(new EventEmitter(), 'event'),
  'what from() makes of an iterable': () => from({ [Symbol.asyncIterator]: () => channel() }),
};

const graceMs = 8000;

/** Drains a server in the middle of a call, and answers what its client heard. */
async function drained(source: AnySource) {
  let asked: Call | undefined;
  const running = await serve(
    'mount',
    (request, call) => {
      asked = call;
      return source(request, call);
    },
    [configure({ cleanupGraceMs: 20 })],
  );
  const { reply } = running.open();
  await until('the source is asked', () => asked !== undefined);
  await turn();
  const started = performance.now();
  await drain(running.server, { graceMs, retryMs: 5, details: 'leaving' });
  expect(performance.now() - started).to.be.below(graceMs / 2);
  const { code, details, trailer } = await reply;
  return { code, details, retry: trailer.get('grpc-retry-pushback-ms') };
}

const told = { code: status.UNAVAILABLE, details: 'leaving', retry: ['5'] };

describe('a drain', () => {
  afterEach(stopAll);

  for (const [what, make] of Object.entries(returned)) {
    it(`is heard at once by what a source returned: ${what}`, async () => {
      expect(await drained(make)).to.deep.equal(told);
    });

    it(`is heard by what came by promise: ${what}`, async () => {
      expect(await drained(async () => make())).to.deep.equal(told);
    });

    it(`is heard once where the signal was given, too: ${what}`, async () => {
      const source: AnySource = (_, call) => {
        call.signal.addEventListener('abort', () => {});
        return make();
      };
      expect(await drained(source)).to.deep.equal(told);
    });
  }

  it('is heard by what a source returns only after it', async () => {
    const source: AnySource = async () => {
      await new Promise(resolve => setTimeout(resolve, 20));
      return channel();
    };
    expect(await drained(source)).to.deep.equal(told);
  });

  it('is heard by a stream of a second copy of this package', async () => {
    const path: string = '../../lib/sources/index.ts?another';
    const another: { channel: typeof channel } = await import(path);
    expect(another.channel).not.to.equal(channel);
    expect(await drained(() => another.channel())).to.deep.equal(told);
  });

  it('lets go of what the returned stream reads from', async () => {
    const lanes = [channel(), channel()];
    expect(await drained(() => merge(...lanes))).to.deep.equal(told);
    expect(lanes.map(({ writable }) => writable)).to.deep.equal([false, false]);
  });

  it('makes no signal for a call that nobody drains', async () => {
    let aborts = 0;
    const { AbortController } = globalThis;
    globalThis.AbortController = class extends AbortController {
      constructor() {
        super();
        aborts += 1;
      }
    };
    try {
      const items = channel<number>();
      const { open } = await serve('mount', () => items);
      const { reply } = open();
      void items.push(1);
      items.close();
      const before = aborts;
      expect(await reply).to.deep.include({ code: status.OK, messages: [1] });
      expect(aborts).to.equal(before);
    } finally {
      globalThis.AbortController = AbortController;
    }
  });
});
