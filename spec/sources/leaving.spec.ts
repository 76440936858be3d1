import { setTimeout as wait } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { type Call, configure, counters, mount, StatusError } from '../../lib/index.ts';
import { channel, chunk, from, merge, poll, replay } from '../../lib/sources/index.ts';
import { type AnySource, definition, quiet, start, stopAll, until } from '../support/harness.ts';
import { all, counter, failure, settled, taken } from './tools.ts';

const forEver = () => new Promise<never>(() => {});

async function* never(): AsyncGenerator<never> {
  yield await forEver();
}

async function* few(): AsyncGenerator<number> {
  for (let number = 1; number <= 5; number++) {
    await settled();
    yield number;
  }
}

/** An iterator that a `return()` cannot hurry, whatever it does. */
const deaf: AsyncIterable<never> = {
  [Symbol.asyncIterator]: () => ({ next: forEver, return: forEver }),
};

const id = Number;

/** Each yields something, and then reads from what never answers. */
const joined: Record<string, () => AsyncIterableIterator<unknown> & AsyncDisposable> = {
  'a merge': () => merge(few(), never()),
  'a merge of a merge': () => merge(few(), merge(never(), channel())),
  'a merge with an iterator that does not hear': () => merge(few(), deaf),
  'a merge with a poll that hangs': () => merge(few(), poll(forEver, { everyMs: 1 })),
  'a replay in its history': () => replay([1, 2], never(), { id }),
  'a replay whose history hangs': () => merge([1], replay(never(), channel<never>(), { id })),
  'a replay whose history never comes': () => merge([1], replay(forEver, channel<never>(), { id })),
  'chunks of a merge': () => chunk(merge(few(), never()), { maxItems: 2, maxDelayMs: 1 }),
  'what from() makes of a merge': () => from(merge(few(), never())),
  'a merge of chunks that wait': () => merge(few(), chunk(never(), { maxItems: 2 })),
  'a merge of a generator over a merge': () =>
    merge(
      few(),
      (async function* () {
        yield* merge(never());
      })(),
    ),
};

/** Serves a source, and keeps who is called an orphan. */
async function serve(source: AnySource, cleanupGraceMs = 15) {
  const orphans: Call[] = [];
  const hear = configure({ cleanupGraceMs, onOrphan: call => void orphans.push(call) });
  const running = await start(server => mount(server, definition, { stream: source }, quiet, hear));
  return { ...running, orphans };
}

describe('leaving', () => {
  afterEach(stopAll);

  it('counts nothing where all has finished', async () => {
    const before = counters().orphans;
    expect(await all(merge(few(), [6]))).to.have.length(6);
    await merge(few(), channel()).return?.();
    expect(counters().orphans).to.equal(before);
  });

  it('counts what does not finish within a second, once', async () => {
    const before = counters().orphans;
    const makers = Object.values(joined);
    const leave = makers.map(async make => {
      await using items = make();
      await items.next();
    });
    await Promise.all(leave);
    await until('all are counted', () => counters().orphans >= before + makers.length);
    await wait(20);
    expect(counters().orphans).to.equal(before + makers.length);
  });

  it('counts what a failure or a signal left', async () => {
    const before = counters().orphans;
    const failing = channel<number>();
    failing.fail(new Error('broken'));
    const chunks = chunk(merge(never(), failing), { maxItems: 2 });
    expect((await failure(chunks)).error.message).to.equal('broken');
    const controller = new AbortController();
    const items = merge(few(), never(), { signal: controller.signal });
    expect(await taken(items, 1)).to.deep.equal([1]);
    controller.abort(new Error('left'));
    expect((await failure(items)).error.message).to.equal('left');
    await until('both are counted', () => counters().orphans >= before + 2);
    expect(counters().orphans).to.equal(before + 2);
  });

  for (const [name, make] of Object.entries(joined))
    it(`${name} is its call's orphan when a source returned it`, async () => {
      const { open, orphans } = await serve(make);
      const before = counters().orphans;
      const { reply, stream, cancel } = open();
      stream.once('data', cancel);
      expect((await reply).code).to.equal(status.CANCELLED);
      await until('the orphan is reported', () => orphans.length > 0);
      expect([orphans.length, counters().orphans - before]).to.deep.equal([1, 1]);
    });

  for (const [name, make] of Object.entries(joined))
    it(`${name} lets a source end its call, by break and by throw`, async () => {
      const { call } = await serve(async function* (throws) {
        for await (const item of make()) {
          yield item;
          if (throws === true) throw new StatusError(status.NOT_FOUND, 'no more');
          break;
        }
      });
      const replies = await Promise.all([call(), call(true)]);
      expect(replies.map(({ code, messages }) => [code, messages.length])).to.deep.equal([
        [status.OK, 1],
        [status.NOT_FOUND, 1],
      ]);
    });

  it('is watched where one fails beside others that do not answer', async () => {
    const broken = () => {
      const failing = channel<number>();
      failing.fail(new StatusError(status.ABORTED, 'broken'));
      return merge(few(), never(), failing);
    };
    for (const source of [broken, () => chunk(broken(), { maxItems: 2 }), () => from(broken())]) {
      const { call, orphans } = await serve(source);
      expect((await call()).code).to.equal(status.ABORTED);
      await until('the orphan is reported', () => orphans.length > 0);
    }
  });

  it('waits for a `finally` that takes longer than a lane that cannot be woken may', async () => {
    let closed = false;
    async function* source(): AsyncGenerator<number> {
      try {
        yield 1;
        yield 2;
        yield 3;
      } finally {
        for (let turns = 0; turns < 9; turns++) await wait(15);
        closed = true;
      }
    }
    for await (const _ of chunk(merge(source()), { maxItems: 1 })) break;
    expect(closed).to.equal(true);
  });

  it('waits for a lane that answers soon, and then for its `finally`', async () => {
    let closed = false;
    async function* slow(): AsyncGenerator<number> {
      try {
        await wait(15);
        yield 1;
      } finally {
        await settled();
        closed = true;
      }
    }
    for await (const _ of merge(counter(), slow())) break;
    expect(closed).to.equal(true);
  });

  it('throws what a `finally` throws to who leaves, once, and reports it where nobody does', async () => {
    async function* source(): AsyncGenerator<number> {
      try {
        yield 1;
        await settled();
        yield 2;
      } finally {
        await Promise.reject(new Error('in finally'));
      }
    }
    const items = merge(source());
    await items.next();
    expect((await items.return?.().catch((error: Error) => error.message)) as unknown).to.equal('in finally');
    expect(await items.return?.()).to.deep.equal({ done: true, value: undefined });

    const told: unknown[] = [];
    const hear = configure({ onError: error => void told.push((error as Error).message) });
    const { open } = await start(server =>
      mount(server, definition, { stream: () => merge(source(), channel()) }, hear),
    );
    const { reply, stream, cancel } = open();
    stream.once('data', cancel);
    await reply;
    await until('it is reported', () => told.length > 0);
    expect(told).to.deep.equal(['in finally']);
  });
});
