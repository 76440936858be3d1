import { createReadStream } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import { channel, chunk } from '../../lib/sources/index.ts';
import { all, counter, countTimers, failure, settled } from './tools.ts';

describe('chunk()', () => {
  it('gathers full chunks, and what is left at the end', async () => {
    expect(await all(chunk(counter(7), { maxItems: 3 }))).to.deep.equal([[1, 2, 3], [4, 5, 6], [7]]);
    expect(await all(chunk([], { maxItems: 3 }))).to.deep.equal([]);
    expect(await all(chunk([1, 2], { maxItems: 2 }))).to.deep.equal([[1, 2]]);
  });

  it('yields what there is when the first item has waited long enough', async () => {
    const numbers = channel<number>();
    const chunks = chunk(numbers, { maxItems: 100, maxDelayMs: 10 });
    const first = chunks.next();
    void numbers.push(1);
    void numbers.push(2);
    const started = performance.now();
    expect((await first).value).to.deep.equal([1, 2]);
    expect(performance.now() - started).to.be.within(8, 2000);
    await chunks.return?.();
    expect(numbers.writable).to.equal(false);
  });

  it('makes full chunks of what gathered while nobody waited', async () => {
    const numbers = channel<number>();
    const chunks = chunk(numbers, { maxItems: 4, maxDelayMs: 0 });
    const first = chunks.next();
    void numbers.push(1);
    expect((await first).value).to.deep.equal([1]);
    for (let number = 2; number <= 9; number++) void numbers.push(number);
    await settled();
    expect((await chunks.next()).value).to.deep.equal([2, 3, 4, 5]);
    expect((await chunks.next()).value).to.deep.equal([6, 7, 8, 9]);
    await chunks.return?.();
  });

  it('reads nothing ahead of what is asked for, but the item it was waiting for', async () => {
    const source = counter();
    const chunks = chunk(source, { maxItems: 5 });
    await settled();
    expect(source.pulled).to.equal(0);
    await chunks.next();
    await settled();
    expect(source.pulled).to.equal(5);
    await chunks.return?.();
    expect(source.returned).to.equal(1);
  });

  it('yields what it has before the error', async () => {
    async function* source(): AsyncGenerator<number> {
      yield* [1, 2, 3];
      throw new Error('broken');
    }
    const { items, error } = await failure(chunk(source(), { maxItems: 2 }));
    expect(items).to.deep.equal([[1, 2], [3]]);
    expect(error.message).to.equal('broken');
  });

  it('keeps the order and loses nothing, whatever comes when', async () => {
    const plan = fc.array(fc.constantFrom('push', 'read', 'turn'), { maxLength: 50 });
    await fc.assert(
      fc.asyncProperty(plan, fc.integer({ min: 1, max: 4 }), async (plan, maxItems) => {
        const numbers = channel<number>();
        const chunks = chunk(numbers, { maxItems, maxDelayMs: 0 });
        const reads: Promise<IteratorResult<number[]>>[] = [];
        let pushed = 0;
        for (const step of plan) {
          if (step === 'push') void numbers.push(++pushed);
          else if (step === 'read') reads.push(chunks.next());
          else await settled();
        }
        numbers.close();
        const before = (await Promise.all(reads)).flatMap(step => (step.done ? [] : [step.value]));
        const got = [...before, ...(await all(chunks))];
        expect(got.flat()).to.deep.equal(Array.from({ length: pushed }, (_, index) => index + 1));
        for (const items of got) expect(items.length).to.be.within(1, maxItems);
      }),
      { numRuns: 200 },
    );
  });

  it('leaves no timer', async () => {
    const timers = countTimers();
    const numbers = channel<number>();
    const chunks = chunk(numbers, { maxItems: 9, maxDelayMs: 60_000 });
    const parked = chunks.next();
    void numbers.push(1);
    await settled();
    expect(timers.size).to.equal(1);
    await chunks.return?.();
    timers.restore();
    expect(timers.size).to.equal(0);
    expect(await parked).to.deep.equal({ done: true, value: undefined });
  });

  it('tells of a file that is not there once it is read', async () => {
    const chunks = chunk(createReadStream('/missing'), { maxItems: 3 });
    await wait(15);
    expect((await failure(chunks)).error).to.include({ code: 'ENOENT' });
  });

  it('says what is wrong with an option', () => {
    expect(() => chunk([], undefined as never)).to.throw(
      TypeError,
      'Expected `options` to be an object, got `undefined` (undefined)',
    );
    expect(() => chunk([], { maxItems: 0 })).to.throw(TypeError, '`maxItems` to be an integer from 1 and up');
    expect(() => chunk([], { maxItems: 1, maxDelayMs: NaN })).to.throw(TypeError, /`maxDelayMs`/);
    expect(() => chunk(5 as never, { maxItems: 1 })).to.throw(TypeError, /`source` to be an AsyncIterable/);
  });
});
