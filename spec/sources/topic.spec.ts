import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import fc from 'fast-check';
import { broadcast, mount } from '../../lib/index.ts';
import { topic } from '../../lib/sources/index.ts';
import { definition, encodings, start, stopAll, until } from '../support/harness.ts';
import { all, failure, listeners, promisesIn, settled, taken, thrown } from './tools.ts';

interface Price {
  readonly symbol: string;
  readonly at: number;
}

describe('topic()', () => {
  afterEach(stopAll);

  it('gives every subscriber every item once, in order', async () => {
    const numbers = topic<number>();
    const subscriptions = [numbers.subscribe(), numbers.subscribe(), numbers.subscribe()];
    for (const number of [1, 2, 3]) numbers.publish(number);
    numbers.close();
    for (const subscription of subscriptions) expect(await all(subscription)).to.deep.equal([1, 2, 3]);
  });

  it('Q1 `drop-newest` misses what comes while it is full', async () => {
    const numbers = topic<number>({ capacity: 2, overflow: 'drop-newest' });
    const slow = numbers.subscribe();
    for (const number of [1, 2, 3, 4]) numbers.publish(number);
    expect(await taken(slow, 1)).to.deep.equal([1]);
    numbers.publish(5);
    numbers.close();
    expect(await all(slow)).to.deep.equal([2, 5]);
    expect(slow.dropped).to.equal(2);
  });

  it('Q2 `drop-oldest` misses what waited longest, `latest` all but the newest', async () => {
    const numbers = topic<number>({ capacity: 2, overflow: 'drop-oldest' });
    const slow = numbers.subscribe();
    const sampled = numbers.subscribe({ overflow: 'latest' });
    for (const number of [1, 2, 3, 4]) numbers.publish(number);
    numbers.close();
    expect(await all(slow)).to.deep.equal([3, 4]);
    expect(slow.dropped).to.equal(2);
    expect(await all(sampled)).to.deep.equal([4]);
    expect(sampled.dropped).to.equal(3);
  });

  it('Q3 `conflate` keeps the newest of each key, in the order they were published', async () => {
    const prices = topic<Price>({ capacity: 2, key: price => price.symbol });
    const slow = prices.subscribe();
    for (const [symbol, at] of [
      ['A', 1],
      ['B', 2],
      ['A', 3],
      ['A', 4],
    ] as const)
      prices.publish({ symbol, at });
    expect(slow.dropped).to.equal(2);
    expect((await taken(slow, 2)).map(({ at }) => at)).to.deep.equal([2, 4]);
    prices.publish({ symbol: 'A', at: 5 });
    prices.publish({ symbol: 'B', at: 6 });
    prices.publish({ symbol: 'C', at: 7 });
    expect((await failure(slow)).error).to.include({ code: status.RESOURCE_EXHAUSTED });
  });

  it('Q4 `error` ends a slow subscriber with RESOURCE_EXHAUSTED, and nobody else', async () => {
    const numbers = topic<number>({ capacity: 2 });
    const slow = numbers.subscribe();
    const roomy = numbers.subscribe({ capacity: 3 });
    for (const number of [1, 2, 3]) numbers.publish(number);
    expect(numbers.subscribers).to.equal(1);
    numbers.close();
    const { items, error } = await failure(slow);
    expect(items).to.deep.equal([]);
    expect(error).to.include({ name: 'StatusError', code: status.RESOURCE_EXHAUSTED });
    expect(await slow.next()).to.deep.equal({ done: true, value: undefined });
    expect(await all(roomy)).to.deep.equal([1, 2, 3]);
  });

  it('Q5 counts exactly what each subscriber missed', async () => {
    const overflow = fc.constantFrom(
      'drop-newest' as const,
      'drop-oldest' as const,
      'latest' as const,
      'conflate' as const,
    );
    const plan = fc.array(fc.constantFrom('publish', 'publish', 'take'), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(overflow, fc.integer({ min: 3, max: 5 }), plan, async (overflow, capacity, plan) => {
        const numbers = topic<number>({ overflow, capacity, key: number => number % 3 });
        const subscription = numbers.subscribe();
        const got: number[] = [];
        for (const step of plan) {
          if (step === 'publish') numbers.publish(numbers.last + 1);
          else if (subscription.size > 0) got.push(...(await taken(subscription, 1)));
        }
        numbers.close();
        got.push(...(await all(subscription)));
        expect(got).to.deep.equal([...new Set(got)].sort((a, b) => a - b));
        expect(got.length + subscription.dropped).to.equal(numbers.last);
        if (overflow !== 'drop-newest' && numbers.last > 0) expect(got.at(-1)).to.equal(numbers.last);
      }),
      { numRuns: 300 },
    );
  });

  it('Q6 close and fail wake all subscribers', async () => {
    const closed = topic<number>();
    const ends = [closed.subscribe().next(), closed.subscribe().next()];
    closed.close();
    expect(await Promise.all(ends)).to.deep.equal(Array(2).fill({ done: true, value: undefined }));
    expect(closed.publish(1)).to.equal(0);
    expect(await all(closed.subscribe())).to.deep.equal([]);

    const failed = topic<number>();
    const errors = [failed.subscribe(), failed.subscribe()].map(failure);
    failed.fail(new Error('gone'));
    expect((await Promise.all(errors)).map(({ error }) => error.message)).to.deep.equal(['gone', 'gone']);
    expect(failed.subscribers).to.equal(0);
  });

  it('Q7 misses nothing that was published after subscribe(), also before the first next()', async () => {
    const numbers = topic<number>();
    const subscription = numbers.subscribe();
    numbers.publish(1);
    expect(await taken(subscription, 1)).to.deep.equal([1]);
  });

  it('Q7 misses nothing that was published once a client of `mount` has seen the headers', async () => {
    const numbers = topic<{ number: number }>();
    const { open } = await start(server =>
      mount(server, definition, {
        stream: (_request: unknown, call) => {
          const subscription = numbers.subscribe({ signal: call.signal });
          call.sendHeader();
          return subscription;
        },
      }),
    );
    for (let round = 0; round < 20; round++) {
      const { stream, reply, cancel } = open();
      const first = new Promise(resolve => stream.once('data', resolve));
      await new Promise(resolve => stream.once('metadata', resolve));
      numbers.publish({ number: round });
      expect(await first).to.deep.equal({ number: round });
      cancel();
      await reply;
    }
    await until('all unsubscribed', () => numbers.subscribers === 0);
  });

  it('with `mount`, encodes an item once for all its subscribers', async () => {
    const counting = encodings();
    const numbers = topic<{ number: number }>();
    const { open } = await start(server =>
      mount(server, counting.definition, { stream: (_request: unknown, call) => numbers.subscribe(call) }),
    );
    const calls = Array.from({ length: 20 }, () => open());
    await until('20 subscribers', () => numbers.subscribers === 20);
    for (let number = 1; number <= 50; number++) numbers.publish({ number });
    numbers.close();
    const replies = await Promise.all(calls.map(({ reply }) => reply));
    for (const { messages, code } of replies) {
      expect(code).to.equal(status.OK);
      expect(messages.map(({ number }) => number)).to.deep.equal(Array.from({ length: 50 }, (_, i) => i + 1));
    }
    expect(counting.count).to.equal(50);
  });

  it('with `mount`, encodes an item anew each time it is published, unless `broadcast` marked it', async () => {
    const states = topic<{ number: number }>();
    const { open } = await start(server =>
      mount(server, definition, { stream: (_request: unknown, call) => states.subscribe(call) }),
    );
    const calls = [open(), open()];
    await until('both are subscribed', () => states.subscribers === 2);
    await settled();
    const state = { number: 1 };
    const fixed = broadcast({ number: 10 });
    for (const item of [state, fixed]) states.publish(item);
    state.number = 2;
    fixed.number = 20;
    for (const item of [state, fixed]) states.publish(item);
    states.close();
    for (const { reply } of calls)
      expect((await reply).messages.map(({ number }) => number)).to.deep.equal([1, 10, 2, 10]);
  });

  it('gives a subscriber that comes by a filter only what is published from there on', async () => {
    const numbers = topic<number>({ history: 2 });
    let late: AsyncIterable<number>[] = [];
    const first = numbers.subscribe({
      filter(number) {
        if (number === 1) late = [numbers.subscribe(), numbers.subscribe({ after: 0 })];
        return true;
      },
    });
    const second = numbers.subscribe();
    for (const number of [1, 2, 3, 4]) numbers.publish(number);
    numbers.close();
    const got = await Promise.all([first, second, ...late].map(all));
    expect(got).to.deep.equal([
      [1, 2, 3, 4],
      [1, 2, 3, 4],
      [2, 3, 4],
      [1, 2, 3, 4],
    ]);
  });

  it('gives a subscriber only what its filter takes, each once', async () => {
    const prices = topic<Price>({ capacity: 2, history: 10 });
    const wanted = new Set(['A', 'B']);
    const some = prices.subscribe({ filter: price => wanted.has(price.symbol) });
    for (let at = 1; at <= 6; at++) prices.publish({ symbol: 'ABCCCC'.charAt(at - 1), at });
    const again = prices.subscribe({ after: 0, filter: price => wanted.has(price.symbol) });
    prices.close();
    expect((await all(some)).map(({ at }) => at)).to.deep.equal([1, 2]);
    expect((await all(again)).map(({ at }) => at)).to.deep.equal([1, 2]);
  });

  it('ends the one subscriber whose filter throws', async () => {
    const numbers = topic<number>();
    const broken = numbers.subscribe({
      filter() {
        throw new Error('filter');
      },
    });
    const whole = numbers.subscribe();
    numbers.publish(1);
    numbers.close();
    expect((await failure(broken)).error.message).to.equal('filter');
    expect(await all(whole)).to.deep.equal([1]);
  });

  describe('history', () => {
    it('replays what came after a sequence number, then follows', async () => {
      const letters = topic<string>({ history: 3, startAfter: 100 });
      for (const letter of 'abcde') letters.publish(letter);
      expect([letters.first, letters.last]).to.deep.equal([103, 105]);
      const subscriptions = [102, 103n, '104', 105].map(after => letters.subscribe({ after }));
      expect(subscriptions.map(({ size }) => size)).to.deep.equal([3, 2, 1, 0]);
      letters.publish('f');
      letters.close();
      const got = await Promise.all(subscriptions.map(all));
      expect(got.map(items => items.join(''))).to.deep.equal(['cdef', 'def', 'ef', 'f']);
    });

    it('answers OUT_OF_RANGE for what it no longer has, or has not yet', () => {
      const letters = topic<string>({ history: 3, startAfter: 100 });
      for (const letter of 'abcde') letters.publish(letter);
      for (const after of [1, 101, '101', 106, 2 ** 40])
        expect(thrown(() => letters.subscribe({ after }))).to.include({ code: status.OUT_OF_RANGE });
      for (const after of [1.5, NaN, ' ', 'x', '-1', '1e3', '99999999999999999999'])
        expect(thrown(() => letters.subscribe({ after }))).to.include({ code: status.INVALID_ARGUMENT });
      expect(letters.subscribers).to.equal(0);
    });

    it('is still there when the topic is closed', async () => {
      const numbers = topic<number>({ history: 3 });
      for (const number of [1, 2, 3]) numbers.publish(number);
      numbers.fail(new Error('gone'));
      const { items, error } = await failure(numbers.subscribe({ after: 1 }));
      expect([items, error.message, numbers.subscribers]).to.deep.equal([[2, 3], 'gone', 0]);
    });

    it('stores what history lets go of before it was read, and then treats it as slow', async () => {
      const numbers = topic<number>({ history: 3, capacity: 2 });
      for (const number of [1, 2, 3]) numbers.publish(number);
      const strict = numbers.subscribe({ after: 0 });
      const lossy = numbers.subscribe({ after: 0, overflow: 'drop-oldest' });
      const quick = numbers.subscribe({ after: 0, overflow: 'drop-newest', capacity: 9 });
      for (const number of [4, 5]) numbers.publish(number);
      expect(numbers.subscribers).to.equal(3);
      expect(await taken(quick, 1)).to.deep.equal([1]);
      numbers.publish(6);
      expect((await failure(strict)).error).to.include({ code: status.RESOURCE_EXHAUSTED });
      numbers.close();
      expect(await all(lossy)).to.deep.equal([2, 3, 4, 5, 6]);
      expect(lossy.dropped).to.equal(1);
      expect(await all(quick)).to.deep.equal([2, 3, 4, 5, 6]);
    });

    it('conflates what history lets go of by its key', async () => {
      const prices = topic<Price>({ key: price => price.symbol, history: 10, capacity: 2 });
      const publish = (from: number, to: number) => {
        for (let at = from; at < to; at++) prices.publish({ symbol: at % 3 ? 'A' : 'B', at });
      };
      publish(0, 5);
      const slow = prices.subscribe({ after: 0 });
      publish(5, 35);
      prices.close();
      expect(slow.dropped).to.equal(23);
      const rest = Array.from({ length: 10 }, (_, index) => index + 25);
      expect((await all(slow)).map(({ at }) => at)).to.deep.equal([23, 24, ...rest].sort((a, b) => a - b));
    });

    it('is not asked for by a subscriber that comes after what was not set, in proto3 too', async () => {
      const numbers = topic<number>({ history: 3, startAfter: 100 });
      for (const number of [1, 2, 3, 4, 5]) numbers.publish(number);
      // As proto-loader has an int64 unless it is told otherwise.
      const long = { __isLong__: true, low: 0, high: 0, toString: () => '0' };
      const fresh = [null, undefined, '', 0, -0, 0n, '0', long as never].map(after =>
        numbers.subscribe({ after }),
      );
      numbers.publish(6);
      numbers.close();
      for (const items of await Promise.all(fresh.map(all))) expect(items).to.deep.equal([6]);
    });

    it('is what comes after 0 where that is the number before the first', async () => {
      const numbers = topic<number>({ history: 3 });
      const none = topic<number>();
      for (const number of [1, 2, 3]) {
        numbers.publish(number);
        none.publish(number);
      }
      const whole = [0, 0n, '0'].map(after => numbers.subscribe({ after }));
      const fresh = [none.subscribe({ after: 0 }), numbers.subscribe({ after: '' })];
      for (const open of [numbers, none]) {
        open.publish(4);
        open.close();
      }
      for (const items of await Promise.all(whole.map(all))) expect(items).to.deep.equal([1, 2, 3, 4]);
      for (const items of await Promise.all(fresh.map(all))) expect(items).to.deep.equal([4]);
      expect(thrown(() => numbers.subscribe({ after: 0 }))).to.include({ code: status.OUT_OF_RANGE });
    });

    it('holds nothing for a subscriber that reads history slowly', async () => {
      const numbers = topic<number>({ history: 100, capacity: 1 });
      for (let number = 1; number <= 100; number++) numbers.publish(number);
      const slow = numbers.subscribe({ after: 50 });
      for (let number = 101; number <= 120; number++) {
        numbers.publish(number);
        await slow.next();
      }
      expect(slow.size).to.equal(50);
      numbers.close();
      expect(await all(slow)).to.deep.equal(Array.from({ length: 50 }, (_, index) => index + 71));
    });

    it('leaves no gap and repeats nothing, however often a subscriber comes back', async () => {
      const plan = fc.array(fc.constantFrom('publish', 'publish', 'take', 'leave'), { maxLength: 80 });
      await fc.assert(
        fc.asyncProperty(plan, fc.integer({ min: 2, max: 6 }), async (plan, history) => {
          const numbers = topic<number>({ history, capacity: 3 });
          let subscription = numbers.subscribe();
          let last = 0;
          for (const step of plan) {
            if (step === 'publish') numbers.publish(numbers.last + 1);
            if (step === 'take' && numbers.last > last) {
              const next = await subscription.next().catch(error => error.code);
              if (next === status.RESOURCE_EXHAUSTED) continue;
              if (next.done) continue;
              expect(next.value).to.equal(last + 1);
              last = next.value;
            }
            if (step === 'leave') {
              await subscription.return?.();
              if (last < numbers.first - 1) {
                expect(thrown(() => numbers.subscribe({ after: last })).code).to.equal(status.OUT_OF_RANGE);
                return;
              }
              subscription = numbers.subscribe({ after: last });
            }
          }
        }),
        { numRuns: 500 },
      );
    });
  });

  it('lets go of a subscriber at once: by return(), never iterated or waiting, and by its signal', async () => {
    const numbers = topic<number>();
    const { signal } = new AbortController();
    const unread = numbers.subscribe({ signal });
    void unread.return?.();
    expect(numbers.subscribers).to.equal(0);

    const waiting = numbers.subscribe({ signal });
    const parked = waiting.next();
    void waiting.return?.();
    expect(numbers.subscribers).to.equal(0);
    expect(await parked).to.deep.equal({ done: true, value: undefined });
    expect(listeners(signal)).to.equal(0);

    const controller = new AbortController();
    const followed = failure(numbers.subscribe(controller));
    const unheard = numbers.subscribe(controller);
    controller.abort(new Error('left'));
    expect(numbers.subscribers).to.equal(0);
    expect((await followed).error.message).to.equal('left');
    expect((await failure(unheard)).error.message).to.equal('left');
    expect((await failure(numbers.subscribe(controller))).error.message).to.equal('left');
    expect(numbers.subscribers).to.equal(0);
  });

  it('publishes to busy and waiting subscribers without making a promise', async () => {
    const numbers = topic<number>();
    const busy = Array.from({ length: 100 }, () => numbers.subscribe());
    const waiting = Array.from({ length: 100 }, () => numbers.subscribe().next());
    const publish = () => {
      for (let number = 1; number <= 100; number++) numbers.publish(number);
    };
    for (const subscription of busy) expect(subscription.size).to.equal(0);
    expect(promisesIn(publish)).to.equal(0);
    expect((await Promise.all(waiting)).every(({ value }) => value === 1)).to.equal(true);
    expect(await taken(busy[0] as AsyncIterator<number>, 100)).to.have.length(100);
  });

  it('lets one stalled subscriber among 1,000 hold no more than its capacity, and cost the others nothing', async () => {
    const numbers = topic<number>({ capacity: 10, overflow: 'drop-oldest' });
    const stalled = numbers.subscribe();
    const readers = Array.from({ length: 999 }, () => all(numbers.subscribe()));
    for (let number = 1; number <= 50; number++) {
      numbers.publish(number);
      await settled();
    }
    numbers.close();
    const whole = Array.from({ length: 50 }, (_, index) => index + 1);
    for (const got of await Promise.all(readers)) expect(got).to.deep.equal(whole);
    expect(stalled).to.include({ size: 10, dropped: 40 });
  });

  it('leaves 0 listeners, timers and entries after 100,000 subscriptions', async () => {
    const numbers = topic<number>({ history: 10 });
    const { signal } = new AbortController();
    for (let round = 0; round < 100_000; round++) {
      const subscription = numbers.subscribe(round % 2 ? { signal } : { signal, after: numbers.last });
      if (round % 3 === 0) void subscription.next();
      if (round % 5 === 0) numbers.publish(round);
      void subscription.return?.();
    }
    expect(numbers.subscribers).to.equal(0);
    expect(listeners(signal)).to.equal(0);
  });

  it('says what is wrong with an option', () => {
    expect(() => topic({ history: -1 })).to.throw(
      TypeError,
      'Expected `history` to be an integer from 0 and up, got `-1` (number)',
    );
    expect(() => topic({ overflow: 'wait' as never })).to.throw(TypeError, /`overflow` to be one of/);
    expect(() => topic({ overflow: 'conflate' })).to.throw(
      TypeError,
      /`key` to be a function for `conflate`/,
    );
    expect(() => topic().subscribe({ capacity: 0 })).to.throw(TypeError, /`capacity`/);
    for (const make of [topic, topic().subscribe.bind(topic())])
      expect(() => make(null as never)).to.throw(
        TypeError,
        'Expected `options` to be an object, got `null` (object)',
      );
  });
});
