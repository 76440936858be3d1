import { EventEmitter } from 'node:events';
import { createReadStream } from 'node:fs';
import { PassThrough, Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import { from } from '../../lib/sources/index.ts';
import type { ObservableLike } from '../../lib/types.ts';
import { all, counter, failure, settled, taken } from './tools.ts';

function subject<T>() {
  const observers = new Set<Parameters<ObservableLike<T>['subscribe']>[0]>();
  const observable: ObservableLike<T> = {
    subscribe(observer) {
      observers.add(observer);
      return { unsubscribe: () => void observers.delete(observer) };
    },
  };
  return {
    observers,
    observable,
    each: (run: (o: { next(v: T): void; error(e: unknown): void; complete(): void }) => void) =>
      observers.forEach(run),
  };
}

describe('from()', () => {
  describe('an emitter', () => {
    it('yields what an event carries, from the call on, until the end event', async () => {
      const emitter = new EventEmitter();
      const numbers = from<number>(emitter, 'number', { end: ['end', 'close'] });
      for (const number of [1, 2, 3]) emitter.emit('number', number);
      emitter.emit('close');
      emitter.emit('number', 4);
      expect(await all(numbers)).to.deep.equal([1, 2, 3]);
      expect(emitter.eventNames()).to.deep.equal([]);
    });

    it('fails with the error event', async () => {
      const emitter = new EventEmitter();
      const numbers = from<number>(emitter, 'number');
      emitter.emit('number', 1);
      emitter.emit('error', new Error('broken'));
      const { items, error } = await failure(numbers);
      expect([items, error.message]).to.deep.equal([[1], 'broken']);
      expect(emitter.eventNames()).to.deep.equal([]);
    });

    it('ends with RESOURCE_EXHAUSTED when it runs too far ahead, or drops as told', async () => {
      const emitter = new EventEmitter();
      const strict = from<number>(emitter, 'number', { capacity: 2 });
      const sampled = from<number>(emitter, 'number', { overflow: 'latest', end: 'end' });
      for (const number of [1, 2, 3]) emitter.emit('number', number);
      emitter.emit('end');
      const { items, error } = await failure(strict);
      expect(items).to.deep.equal([1, 2]);
      expect(error).to.include({ code: 8 });
      expect(await all(sampled)).to.deep.equal([3]);
    });

    it('may be an EventTarget', async () => {
      const target = new EventTarget();
      const events = from<Event>(target, 'tick');
      target.dispatchEvent(new Event('tick'));
      expect((await taken(events, 1))[0]?.type).to.equal('tick');
      await events.return?.();
    });

    it('is let go at once by return(), never iterated or waiting', async () => {
      const emitter = new EventEmitter();
      void from(emitter, 'number').return?.();
      expect(emitter.eventNames()).to.deep.equal([]);
      const waiting = from(emitter, 'number');
      const parked = waiting.next();
      void waiting.return?.();
      expect(emitter.eventNames()).to.deep.equal([]);
      expect((await parked).done).to.equal(true);
    });
  });

  describe('an observable', () => {
    it('yields what it emits, and ends or fails with it', async () => {
      const [good, bad] = [subject<number>(), subject<number>()];
      const [numbers, broken] = [from(good.observable), from(bad.observable)];
      good.each(observer => observer.next(1));
      good.each(observer => observer.complete());
      bad.each(observer => observer.error(new Error('broken')));
      expect(await all(numbers)).to.deep.equal([1]);
      expect((await failure(broken)).error.message).to.equal('broken');
      expect([good.observers.size, bad.observers.size]).to.deep.equal([0, 0]);
    });

    it('may emit everything while it is subscribed to, and answer a function', async () => {
      let unsubscribed = 0;
      const numbers = from<number>({
        subscribe(observer) {
          for (const number of [1, 2]) observer.next(number);
          observer.complete();
          return () => {
            unsubscribed += 1;
          };
        },
      });
      expect(unsubscribed).to.equal(1);
      expect(await all(numbers)).to.deep.equal([1, 2]);
    });

    it('may answer nothing when it is subscribed to', async () => {
      let observer: Parameters<ObservableLike<number>['subscribe']>[0] | undefined;
      const numbers = from<number>({
        subscribe(given) {
          observer = given;
          return undefined as never;
        },
      });
      observer?.next(1);
      observer?.complete();
      expect(await all(numbers)).to.deep.equal([1]);
    });

    it('is unsubscribed when it runs 1,024 items ahead', async () => {
      const { observers, observable, each } = subject<number>();
      const numbers = from(observable);
      for (let number = 1; observers.size > 0; number++) {
        each(observer => observer.next(number));
        await settled();
      }
      const { items, error } = await failure(numbers);
      expect(items).to.have.length(1025);
      expect(error).to.include({ code: 8 });
    });

    it('may emit more than that at once, when nobody could be served, again and again', async () => {
      const { observable, each } = subject<number>();
      const numbers = from(observable);
      const burst = Array.from({ length: 5000 }, (_, number) => number);
      for (let round = 0; round < 3; round++) {
        for (const number of burst) each(observer => observer.next(number));
        await settled();
        each(observer => observer.next(-1));
        expect(await taken(numbers, 5001)).to.deep.equal([...burst, -1]);
      }
      each(observer => observer.complete());
      expect(await all(numbers)).to.deep.equal([]);
    });

    it('is told to stop when it emits without end, and what it has emitted comes before the error', async () => {
      let last = 0;
      const numbers = from<number>({
        subscribe(observer) {
          while (!(observer as { closed?: boolean }).closed) observer.next(++last);
          return () => {};
        },
      });
      const { items, error } = await failure(numbers);
      expect([items.length, last]).to.deep.equal([131_072, 131_073]);
      expect(error).to.include({ code: 8 });
    });

    it('keeps to a capacity that was given, and to a policy, in a burst too', async () => {
      const list: ObservableLike<number> = {
        subscribe(observer) {
          for (let number = 1; number <= 2000; number++) observer.next(number);
          observer.complete();
          return () => {};
        },
      };
      const { items, error } = await failure(from(list, { capacity: 10 }));
      expect([items.length, error.code]).to.deep.equal([10, 8]);
      expect((await all(from(list, { overflow: 'drop-newest' }))).at(-1)).to.equal(1024);
      expect((await all(from(list, { overflow: 'drop-oldest' })))[0]).to.equal(977);
      expect(await all(from(list, { overflow: 'latest' }))).to.deep.equal([2000]);
    });

    it('fails when it cannot be subscribed to, at once or later, after what it emitted', async () => {
      const ways: ObservableLike<number>['subscribe'][] = [
        observer => {
          observer.next(1);
          throw new Error('broken');
        },
        (async (observer: { next(value: number): void }) => {
          observer.next(1);
          await settled();
          throw new Error('broken');
        }) as never,
      ];
      for (const subscribe of ways) {
        const { items, error } = await failure(from({ subscribe }));
        expect([items, error.message]).to.deep.equal([[1], 'broken']);
      }
    });

    it('is unsubscribed by what it promises, once that is there', async () => {
      let unsubscribed = 0;
      const subscription = { unsubscribe: () => void unsubscribed++ };
      const numbers = from<number>({ subscribe: (async () => subscription) as never });
      await numbers.return?.();
      await settled();
      expect(unsubscribed).to.equal(1);
    });
  });

  describe('a stream', () => {
    it('yields what a Node stream, a web stream, and any iterable have', async () => {
      expect(await all(from(Readable.from([1, 2])))).to.deep.equal([1, 2]);
      expect(await all(from(Readable.toWeb(Readable.from(['a']))))).to.have.length(1);
      expect(await all(from(counter(3)))).to.deep.equal([1, 2, 3]);
      expect(await all(from([1, Promise.resolve(2)]))).to.deep.equal([1, 2]);
    });

    it('wakes from a Node stream that has nothing, and destroys it', async () => {
      const stream = new PassThrough();
      const bytes = from<Buffer>(stream);
      const parked = bytes.next();
      await settled();
      void bytes.return?.();
      expect(await parked).to.deep.equal({ done: true, value: undefined });
      expect(stream.destroyed).to.equal(true);
      const unread = new PassThrough();
      await from(unread).return?.();
      expect(unread.destroyed).to.equal(true);
    });

    it('wakes from a web stream that has nothing, and cancels it', async () => {
      let cancelled = false;
      const stream = new ReadableStream({
        cancel() {
          cancelled = true;
        },
      });
      const items = from(stream as never);
      const parked = items.next();
      await settled();
      await items.return?.();
      expect(await parked).to.deep.equal({ done: true, value: undefined });
      expect(cancelled).to.equal(true);
    });

    it('wakes from an iterator that never answers', async () => {
      const never: AsyncIterable<number> = {
        [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }),
      };
      const items = from(never);
      const parked = items.next();
      await items.return?.();
      expect(await parked).to.deep.equal({ done: true, value: undefined });
    });

    it('passes on what a stream throws, at once or later', async () => {
      const broken: AsyncIterable<number> = {
        [Symbol.asyncIterator]: () => ({
          next() {
            throw new Error('at once');
          },
        }),
      };
      expect((await failure(from(broken))).error.message).to.equal('at once');
      const stream = new PassThrough({ objectMode: true });
      stream.write(1);
      const items = from<number>(stream);
      await items.next();
      stream.destroy(new Error('later'));
      expect((await failure(items)).error.message).to.equal('later');
    });

    it('tells of a file that is not there once it is read', async () => {
      const bytes = from(createReadStream('/missing'));
      await wait(15);
      expect((await failure(bytes)).error).to.include({ code: 'ENOENT' });
    });

    it('asks for one item at a time, and only when asked', async () => {
      const source = counter();
      const items = from(source);
      const reads = [items.next(), items.next()];
      expect(source.pulled).to.equal(1);
      expect((await Promise.all(reads)).map(({ value }) => value)).to.deep.equal([1, 2]);
      expect(source.pulled).to.equal(2);
      await items.return?.();
      expect(source.returned).to.equal(1);
    });
  });

  it('says what it cannot read', () => {
    for (const given of [[null], ['event', null]])
      expect(() => from(new EventEmitter() as never, ...(given as [never, never]))).to.throw(
        TypeError,
        'Expected `options` to be an object, got `null` (object)',
      );
    expect(() => from({} as never)).to.throw(
      TypeError,
      'Expected `source` to be an emitter with an event, or a stream, got `Object` (object)',
    );
    expect(() => from({} as never, 'event')).to.throw(TypeError, /an EventEmitter or an EventTarget/);
    expect(() => from([], { overflow: 'wait' as never })).to.throw(TypeError, /`overflow`/);
    for (const end of [5, ['end', 5], null])
      expect(() => from(new EventEmitter(), 'event', { end: end as never })).to.throw(
        TypeError,
        /^Expected `end` to be the name of an event, or a list of them, got /,
      );
    expect(() => from(new EventEmitter(), 'event', { error: null as never })).to.throw(TypeError, /`error`/);
  });
});
