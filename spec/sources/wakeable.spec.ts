import { EventEmitter } from 'node:events';
import { expect } from 'chai';
import { channel, chunk, from, merge, poll, replay, sleep, topic } from '../../lib/sources/index.ts';
import { countTimers, failure, listeners, settled } from './tools.ts';

/** Each source, made so that it yields nothing for a long time. */
const sources: Record<string, (signal: AbortSignal) => AsyncIterableIterator<unknown> & AsyncDisposable> = {
  channel: signal => channel({ signal }),
  'topic subscription': signal => topic().subscribe({ signal }),
  merge: signal => merge(channel(), topic().subscribe(), { signal }),
  'poll between two calls': signal => poll(() => 1, { everyMs: 60_000, signal }),
  chunk: signal => chunk(channel(), { maxItems: 2, maxDelayMs: 60_000, signal }),
  'replay in its history': signal => replay(channel(), channel(), { id: Number, signal }),
  'replay in what is live': signal => replay([], channel(), { id: Number, signal }),
  'from an emitter': signal => from(new EventEmitter(), 'event', { signal }),
  'from an observable': signal => from({ subscribe: () => () => {} }, { signal }),
  'from an async generator': signal =>
    from(
      (async function* () {
        await sleep(60_000, signal);
        yield 1;
      })(),
      { signal },
    ),
};

/** Parks in a `next()`; `poll` has its first answer before. */
async function park(name: string, iterator: AsyncIterator<unknown>): Promise<{ next: Promise<unknown> }> {
  if (name.startsWith('poll')) await iterator.next();
  const next = iterator.next();
  next.catch(() => {});
  await settled();
  return { next };
}

describe('every source', () => {
  let timers: ReturnType<typeof countTimers>;
  beforeEach(() => {
    timers = countTimers();
  });
  afterEach(() => timers.restore());

  for (const [name, make] of Object.entries(sources)) {
    describe(name, () => {
      it('wakes at once from a parked next() by return(), and leaves nothing', async () => {
        const controller = new AbortController();
        const iterator = make(controller.signal);
        const { next } = await park(name, iterator);
        const left = iterator.return?.();
        expect(await Promise.race([next, settled()])).to.deep.equal({ done: true, value: undefined });
        if (name === 'from an async generator') controller.abort();
        expect(await left).to.deep.equal({ done: true, value: undefined });
        expect(await iterator.next()).to.deep.equal({ done: true, value: undefined });
        expect([listeners(controller.signal), timers.size]).to.deep.equal([0, 0]);
      });

      it('ends at once when its signal aborts, with the reason, and leaves nothing', async () => {
        const controller = new AbortController();
        const iterator = make(controller.signal);
        const { next } = await park(name, iterator);
        controller.abort(new Error('left'));
        expect(await Promise.race([next.catch((error: Error) => error.message), settled()])).to.equal('left');
        expect(await iterator.next()).to.deep.equal({ done: true, value: undefined });
        await settled();
        expect([listeners(controller.signal), timers.size]).to.deep.equal([0, 0]);
      });

      it('throws the reason when the signal has aborted before', async () => {
        const { error, items } = await failure(make(AbortSignal.abort(new Error('left'))));
        expect([items, error.message]).to.deep.equal([[], 'left']);
      });

      it('leaves nothing when it is returned, or disposed of, without being read', async () => {
        const { signal } = new AbortController();
        await make(signal).return?.();
        await make(signal)[Symbol.asyncDispose]();
        expect([listeners(signal), timers.size]).to.deep.equal([0, 0]);
      });
    });
  }
});
