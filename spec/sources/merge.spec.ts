import { createReadStream } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import { channel, merge } from '../../lib/sources/index.ts';
import { all, counter, failure, settled, taken } from './tools.ts';

describe('merge()', () => {
  it('yields each item as it comes', async () => {
    const [a, b] = [channel<string>(), channel<string>()];
    const merged = merge(a, b);
    const got = taken(merged, 4);
    for (const [from, item] of [
      [b, 'b1'],
      [a, 'a1'],
      [b, 'b2'],
      [a, 'a2'],
    ] as const) {
      from.push(item);
      await settled();
    }
    expect(await got).to.deep.equal(['b1', 'a1', 'b2', 'a2']);
    a.close();
    b.close();
    expect(await all(merged)).to.deep.equal([]);
  });

  it('joins streams of all kinds, and of different items', async () => {
    async function* generated(): AsyncGenerator<string> {
      yield 'x';
    }
    const merged = merge([1, 2], generated(), new Blob(['y']).stream());
    const items: (number | string | Uint8Array)[] = await all(merged);
    expect(items).to.have.length(4);
    expect(await all(merge())).to.deep.equal([]);
  });

  it('reads each source one item ahead, and nothing before the first next()', async () => {
    const [a, b] = [counter(), counter()];
    const merged = merge(a, b);
    await settled();
    expect([a.pulled, b.pulled]).to.deep.equal([0, 0]);
    await merged.next();
    await settled();
    expect(a.pulled + b.pulled).to.equal(3);
    await taken(merged, 10);
    await settled();
    expect(a.pulled + b.pulled).to.equal(13);
  });

  it('opens the next source when one has ended, at most `concurrency` at a time', async () => {
    let open = 0;
    let most = 0;
    async function* source(id: number): AsyncGenerator<number> {
      most = Math.max(most, ++open);
      await settled();
      yield id;
      open -= 1;
    }
    const merged = merge(...[1, 2, 3, 4, 5, 6].map(source), { concurrency: 2 });
    expect((await all(merged)).sort()).to.deep.equal([1, 2, 3, 4, 5, 6]);
    expect(most).to.equal(2);
  });

  it('stops the others at the first error, which comes after the items before it', async () => {
    const [bad, good, parked] = [channel<number>(), counter(), channel<number>()];
    const merged = merge(bad, good, parked, counter(1), { concurrency: 3 });
    const first = merged.next();
    await first;
    bad.fail(new Error('broken'));
    await settled();
    expect(good.returned).to.equal(1);
    expect(parked.writable).to.equal(false);
    const { items, error } = await failure(merged);
    expect(items).to.deep.equal([2]);
    expect(error.message).to.equal('broken');
    expect(await merged.next()).to.deep.equal({ done: true, value: undefined });
  });

  it('returns every source once, also those not opened yet and when nothing was pulled', async () => {
    const started = [counter(), counter(1), counter()] as const;
    const running = merge(...started, { concurrency: 1 });
    await running.next();
    await running.return?.();
    expect(started.map(({ returned }) => returned)).to.deep.equal([1, 1, 1]);

    const [unread, queued] = [counter(), channel<number>()];
    await merge(unread, queued).return?.();
    expect(unread).to.include({ pulled: 0, returned: 1 });
    expect(queued.writable).to.equal(false);
  });

  it('does not return a source that ended by itself', async () => {
    const [short, long] = [counter(1), counter(3)];
    expect(await all(merge(short, long))).to.have.length(4);
    expect([short.returned, long.returned]).to.deep.equal([0, 0]);
  });

  it('waits in return() for what its sources do in `finally`', async () => {
    let closed = false;
    async function* source(): AsyncGenerator<number> {
      try {
        yield 1;
      } finally {
        await settled();
        closed = true;
      }
    }
    for await (const _ of merge(source())) break;
    expect(closed).to.equal(true);
  });

  it('tells of a file that is not there when its turn comes, or not at all', async () => {
    const file = () => createReadStream('/missing');
    const left = merge(counter(), file(), { concurrency: 1 });
    const whole = merge(counter(2), file(), { concurrency: 1 });
    await wait(15);
    const { items, error } = await failure<unknown>(whole);
    expect([items, error.code]).to.deep.equal([[1, 2], 'ENOENT']);
    expect(await taken(left, 1)).to.deep.equal([1]);
    await left.return?.();
  });

  it('takes for options what has one, such as a call, and never what was meant to be read', async () => {
    const controller = new AbortController();
    const merged = merge(counter(), controller);
    controller.abort(new Error('left'));
    expect((await failure(merged)).error.message).to.equal('left');
    for (const forgotten of [Promise.resolve([2]), new Date()])
      expect(() => merge([1], forgotten as never)).to.throw(
        TypeError,
        `Expected \`sources[1]\` to be an AsyncIterable or another stream, got \`${forgotten.constructor.name}\``,
      );
    const bare = Object.assign(Object.create(null), { concurency: 2 });
    for (const wrong of [{ concurency: 2 }, bare, { concurrency: 2, concurency: 2 }])
      expect(() => merge([1], wrong as never)).to.throw(
        TypeError,
        'Expected `options` to have known names only, got `concurency`: did you mean `concurrency`?',
      );
    expect(await all(merge([1], {}))).to.deep.equal([1]);
  });

  it('says which argument is no stream', () => {
    expect(() => merge([1], 2 as never)).to.throw(
      TypeError,
      'Expected `sources[1]` to be an AsyncIterable or another stream, got `2` (number)',
    );
    expect(() => merge([1], { concurrency: 0 })).to.throw(TypeError, /`concurrency`/);
  });

  it('refuses a list of streams, whose items would be streams', async () => {
    const yields = function* () {
      yield 1;
    };
    for (const list of [[counter()], [yields(), yields()], [{ subscribe() {} }], [[1], channel()]])
      expect(() => merge(list as never)).to.throw(
        TypeError,
        'Expected `sources` to be streams, got `Array` (object), a list of streams: give `merge(...sources)`',
      );
    const lists = [[1, 2], new Uint8Array(1), { text: 'a message' }, new Set()];
    expect(await all(merge(lists))).to.deep.equal(lists);
    expect(await all(merge([]))).to.deep.equal([]);
  });
});
