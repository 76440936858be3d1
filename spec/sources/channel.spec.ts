import { expect } from 'chai';
import fc from 'fast-check';
import { channel } from '../../lib/sources/index.ts';
import { all, failure, promisesIn, settled, taken, thrown } from './tools.ts';

describe('channel()', () => {
  it('gives out what was pushed, in order', async () => {
    const numbers = channel<number>();
    for (let number = 1; number <= 5; number++) void numbers.push(number);
    numbers.close();
    expect(await all(numbers)).to.deep.equal([1, 2, 3, 4, 5]);
  });

  it('Q1 `wait` loses nothing and holds the producer until there is room', async () => {
    const numbers = channel<number>({ capacity: 2 });
    const log: string[] = [];
    const producing = (async () => {
      for (let number = 1; number <= 5; number++) {
        await numbers.push(number);
        log.push(`pushed ${number}`);
      }
      numbers.close();
    })();
    await settled();
    expect(log).to.deep.equal(['pushed 1', 'pushed 2']);
    expect(numbers.size).to.equal(3);
    expect(await all(numbers)).to.deep.equal([1, 2, 3, 4, 5]);
    await producing;
    expect(numbers.dropped).to.equal(0);
  });

  it('Q2 `drop-newest` keeps what was stored first', async () => {
    const dropped: number[] = [];
    const numbers = channel<number>({
      capacity: 2,
      overflow: 'drop-newest',
      onDrop: item => dropped.push(item),
    });
    expect([1, 2, 3, 4].map(number => numbers.push(number))).to.deep.equal([true, true, false, false]);
    numbers.close();
    expect(await all(numbers)).to.deep.equal([1, 2]);
    expect(dropped).to.deep.equal([3, 4]);
    expect(numbers.dropped).to.equal(2);
  });

  it('Q3 `drop-oldest` keeps what was stored last', async () => {
    const dropped: number[] = [];
    const numbers = channel<number>({
      capacity: 2,
      overflow: 'drop-oldest',
      onDrop: item => dropped.push(item),
    });
    for (const number of [1, 2, 3, 4]) expect(numbers.push(number)).to.equal(true);
    numbers.close();
    expect(await all(numbers)).to.deep.equal([3, 4]);
    expect(dropped).to.deep.equal([1, 2]);
  });

  it('Q4 `latest` stores one item, the newest', async () => {
    const numbers = channel<number>({ capacity: 100, overflow: 'latest' });
    for (const number of [1, 2, 3, 4]) void numbers.push(number);
    numbers.close();
    expect(await all(numbers)).to.deep.equal([4]);
    expect(numbers.dropped).to.equal(3);
  });

  it('Q4 `error` throws RESOURCE_EXHAUSTED at the producer, and the consumer gets what was stored', async () => {
    const numbers = channel<number>({ capacity: 2, overflow: 'error' });
    void numbers.push(1);
    void numbers.push(2);
    expect(thrown(() => numbers.push(3))).to.include({
      name: 'StatusError',
      code: 8,
      details: 'the channel is full (2)',
    });
    numbers.close();
    expect(await all(numbers)).to.deep.equal([1, 2]);
  });

  it('Q5 counts exactly what is dropped, under any order of pushes and reads', async () => {
    const overflow = fc.constantFrom('drop-newest', 'drop-oldest', 'latest', 'wait');
    const steps = fc.array(fc.constantFrom('push', 'next'), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(overflow, fc.integer({ min: 1, max: 4 }), steps, async (overflow, capacity, plan) => {
        const dropped: number[] = [];
        const numbers = channel<number>({ overflow, capacity, onDrop: item => dropped.push(item) });
        const read: Promise<IteratorResult<number>>[] = [];
        let pushed = 0;
        for (const step of plan) {
          if (step === 'push') void numbers.push(++pushed);
          else read.push(numbers.next());
        }
        numbers.close();
        read.push(...Array.from({ length: pushed }, () => numbers.next()));
        const steps = await Promise.all(read);
        const got = steps.flatMap(step => (step.done ? [] : [step.value]));
        expect(got).to.deep.equal([...got].sort((a, b) => a - b));
        expect([...got, ...dropped].sort((a, b) => a - b)).to.deep.equal(
          Array.from({ length: pushed }, (_, index) => index + 1),
        );
        expect(numbers.dropped).to.equal(dropped.length);
      }),
      { numRuns: 500 },
    );
  });

  it('Q6 close wakes everybody: consumers that wait, and producers', async () => {
    const empty = channel<number>();
    const waiting = [empty.next(), empty.next()];
    empty.close();
    expect(await Promise.all(waiting)).to.deep.equal(Array(2).fill({ done: true, value: undefined }));

    const full = channel<number>({ capacity: 1 });
    const pushes = [1, 2, 3].map(number => full.push(number));
    full.close();
    expect(await Promise.all(pushes)).to.deep.equal([true, true, true]);
    expect(full.push(4)).to.equal(false);
    expect(await all(full)).to.deep.equal([1, 2, 3]);
  });

  it('Q6 fail wakes everybody, and comes after what was stored, once', async () => {
    const empty = channel<number>();
    const waiting = Promise.allSettled([empty.next(), empty.next()]);
    empty.fail(new Error('gone'));
    expect((await waiting).map(({ status }) => status)).to.deep.equal(['rejected', 'fulfilled']);

    const full = channel<number>({ capacity: 1 });
    const pushes = [1, 2].map(number => full.push(number));
    full.fail(undefined);
    expect(await Promise.all(pushes)).to.deep.equal([true, true]);
    expect(await failure(full)).to.deep.equal({ items: [1, 2], error: undefined });
    expect(await full.next()).to.deep.equal({ done: true, value: undefined });
  });

  it('tells producers when the consumer has left', async () => {
    const numbers = channel<number>({ capacity: 1 });
    const pushes = [1, 2].map(number => numbers.push(number));
    await numbers.return?.();
    expect(await Promise.all(pushes)).to.deep.equal([true, false]);
    expect(numbers).to.include({ writable: false, size: 0, dropped: 0 });
    expect(numbers.push(3)).to.equal(false);
  });

  it('makes no promise per item pushed, and one for all that wait for room', async () => {
    const numbers = channel<number>({ capacity: 1000 });
    const parked = numbers.next();
    const burst = () => {
      for (let number = 0; number < 1001; number++) void numbers.push(number);
    };
    expect(promisesIn(burst)).to.equal(0);
    const beyond = () => {
      for (let number = 0; number < 1000; number++) void numbers.push(number);
    };
    expect(promisesIn(beyond)).to.equal(1);
    expect(await parked).to.deep.equal({ done: false, value: 0 });
    expect(await taken(numbers, 2000)).to.have.length(2000);
  });

  it('answers concurrent reads in their order', async () => {
    const numbers = channel<number>();
    const reads = [numbers.next(), numbers.next(), numbers.next()];
    for (const number of [1, 2, 3]) void numbers.push(number);
    expect((await Promise.all(reads)).map(({ value }) => value)).to.deep.equal([1, 2, 3]);
  });

  it('is not harmed by an onDrop that throws', () => {
    const numbers = channel<number>({
      capacity: 1,
      overflow: 'drop-oldest',
      onDrop() {
        throw new Error('observer');
      },
    });
    void numbers.push(1);
    expect(numbers.push(2)).to.equal(true);
  });

  it('drops what its own onDrop pushes while it is full, without telling it', () => {
    for (const overflow of ['drop-newest', 'drop-oldest', 'latest'] as const) {
      const dropped: number[] = [];
      const answers: unknown[] = [];
      const numbers = channel<number>({
        capacity: 1,
        overflow,
        onDrop(item) {
          dropped.push(item);
          answers.push(numbers.push(item));
        },
      });
      for (const number of [1, 2, 3]) void numbers.push(number);
      expect(dropped, overflow).to.deep.equal(overflow === 'drop-newest' ? [2, 3] : [1, 2]);
      expect(answers).to.deep.equal([false, false]);
      expect(numbers).to.include({ size: 1, dropped: 4 });
    }
  });

  it('says what is wrong with an option', () => {
    expect(() => channel(null as never)).to.throw(
      TypeError,
      'Expected `options` to be an object, got `null` (object)',
    );
    expect(() => channel({ capacity: 0 })).to.throw(
      TypeError,
      'Expected `capacity` to be an integer from 1 and up, got `0` (number)',
    );
    expect(() => channel({ overflow: 'block' as never })).to.throw(
      TypeError,
      /`overflow` to be one of `wait`/,
    );
    expect(() => channel({ onDrop: 1 as never })).to.throw(TypeError, '`onDrop` to be a function');
  });

  it('shows a value by the name of its class, or else by what it is', () => {
    async function* generated(): AsyncGenerator<void> {}
    for (const [value, text] of [
      [new Date(), '`Date` (object)'],
      [generated(), '`AsyncGenerator` (object)'],
      [new (class {})(), '`object` (object)'],
      [Object.create(null), '`object` (object)'],
      [{ constructor: { name: Object.create(null) } }, '`unprintable` (object)'],
      [() => {}, '`function` (function)'],
    ])
      expect(() => channel({ signal: value as never })).to.throw(TypeError, `an AbortSignal, got ${text}`);
  });
});
