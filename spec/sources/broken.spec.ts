import { EventEmitter } from 'node:events';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { configure } from '../../lib/index.ts';
import { chunk, from, merge, replay } from '../../lib/sources/index.ts';
import { collect } from '../../lib/testing/index.ts';
import { quiet } from '../support/harness.ts';
import { all, failure, settled, thrown } from './tools.ts';

const boom = new Error('mine');

/** What `next()` of a broken iterator answers, and what is heard of it. */
const answers: Record<string, [answer: () => unknown, message: string]> = {
  nothing: [
    () => undefined,
    'Expected `next()` of an iterator to return an object, got `undefined` (undefined)',
  ],
  null: [() => null, 'Expected `next()` of an iterator to return an object, got `null` (object)'],
  'a number': [() => 5, 'Expected `next()` of an iterator to return an object, got `5` (number)'],
  'a step whose `done` throws': [
    () =>
      Object.defineProperty({}, 'done', {
        get: () => {
          throw boom;
        },
      }),
    'mine',
  ],
  'a step whose `value` throws': [
    () =>
      Object.defineProperty({}, 'value', {
        get: () => {
          throw boom;
        },
      }),
    'mine',
  ],
};

/** Yields 1, and breaks then. */
const broken = (answer: () => unknown): AsyncIterable<number> => {
  const steps: unknown[] = [{ done: false, value: 1 }];
  return {
    [Symbol.asyncIterator]: () => ({
      next: async () => (steps.length > 0 ? steps.pop() : answer()) as never,
    }),
  };
};

const readers: Record<string, (stream: AsyncIterable<number>) => AsyncIterable<unknown>> = {
  'from()': stream => from(stream),
  'merge()': stream => merge(stream),
  'chunk()': stream => chunk(stream, { maxItems: 1 }),
  'replay(), as history': stream => replay(stream, [], { id: Number }),
  'replay(), as what is live': stream => replay([], stream, { id: Number }),
};

// The suite fails by itself when a rejection is nobody's.
describe('an iterator that breaks its protocol', () => {
  for (const [what, [answer, message]] of Object.entries(answers)) {
    for (const [reader, read] of Object.entries(readers))
      it(`ends ${reader} with an error that tells, after what was before: ${what}`, async () => {
        const { items, error } = await failure(read(broken(answer)));
        expect(items.flat()).to.deep.equal([1]);
        expect(error.message).to.equal(message);
      });

    it(`ends a call, after what was before: ${what}`, async () => {
      const { messages, outcome } = await collect(() => broken(answer), {}, { middleware: [quiet] });
      expect(messages).to.deep.equal([1]);
      expect(outcome.code).to.equal(status.UNKNOWN);
      expect(outcome.cause).to.have.property('message', message);
    });
  }
});

/** Ways to fail when it is let go of. */
const teardowns: Record<string, () => unknown> = {
  throws: () => {
    throw boom;
  },
  rejects: () => Promise.reject(boom),
};

/** Emits 1 in a later turn, and ends then, in one way or another. */
const observable = (teardown: () => unknown, end: (observer: Observer<number>) => void) => ({
  subscribe(observer: Observer<number>) {
    setImmediate(() => {
      observer.next(1);
      end(observer);
    });
    return teardown as () => void;
  },
});

type Observer<T> = { next(value: T): void; complete(): void; error(error: unknown): void };
const complete = (observer: Observer<number>) => observer.complete();

// The suite fails by itself when something is thrown at who emits, or at a signal.
describe('an observable that cannot be let go of', () => {
  it('fails from() after what was before, when it throws', async () => {
    const { items, error } = await failure(from(observable(teardowns.throws as never, complete)));
    expect(items).to.deep.equal([1]);
    expect(error).to.equal(boom);
  });

  it('fails from() after what was before, when it throws and was over before it was subscribed', async () => {
    const { items, error } = await failure(
      from<number>({
        subscribe(observer: Observer<number>) {
          observer.next(1);
          observer.complete();
          return teardowns.throws as never;
        },
      }),
    );
    expect(items).to.deep.equal([1]);
    expect(error).to.equal(boom);
  });

  it('fails a call after what was before, when it throws', async () => {
    const source = () => observable(teardowns.throws as never, complete);
    const { messages, outcome } = await collect(source, {}, { middleware: [quiet] });
    expect(messages).to.deep.equal([1]);
    expect(outcome).to.include({ code: status.UNKNOWN, cause: boom });
  });

  it('ends well when that is known only later', async () => {
    const source = () => observable(teardowns.rejects as never, complete);
    expect(await all(from(source()))).to.deep.equal([1]);
    expect((await collect(source, {})).outcome.code).to.equal(status.OK);
    await settled();
  });

  for (const [how, teardown] of Object.entries(teardowns)) {
    it(`fails with its own error first: ${how}`, async () => {
      const own = new Error('its own');
      const source = () => observable(teardown, observer => observer.error(own));
      expect((await failure(from(source()))).error).to.equal(own);
      const { outcome } = await collect(source, {}, { middleware: [quiet] });
      expect(outcome.cause).to.equal(own);
      await settled();
    });

    it(`fails with RESOURCE_EXHAUSTED first: ${how}`, async () => {
      const source = observable(teardown, observer => observer.next(2));
      const reading = from(source, { capacity: 1 });
      await settled();
      await settled();
      expect((await failure(reading)).error.code).to.equal(status.RESOURCE_EXHAUSTED);
    });

    it(`throws nothing at a signal: ${how}`, async () => {
      const reason = new Error('the reason');
      const controller = new AbortController();
      const { signal } = controller;
      const reading = failure(
        from(
          observable(teardown, () => controller.abort(reason)),
          { signal },
        ),
      );
      expect((await reading).error).to.equal(reason);
      await settled();
    });

    it(`tells who returns: ${how}`, async () => {
      for (const reading of [
        from(observable(teardown, () => {})),
        merge(observable(teardown, () => {})),
        chunk(
          observable(teardown, () => {}),
          { maxItems: 9 },
        ),
      ]) {
        void reading.next();
        await settled();
        expect(await reading.return?.().catch(error => error)).to.equal(boom);
      }
    });

    it(`is reported when the client leaves: ${how}`, async () => {
      const reports: unknown[] = [];
      const reporting = configure({ onError: error => reports.push(error) });
      const source = () => observable(teardown, () => {});
      const { finished } = await collect(source, {}, { cancelAfter: 1, middleware: [reporting] });
      expect(finished).to.equal(true);
      expect(reports).to.deep.equal([boom]);
    });
  }
});

describe('an emitter that cannot be listened to', () => {
  it('keeps no listener when it refuses another one', () => {
    const emitter = new EventEmitter();
    const on = (event: string, listener: () => void) => {
      if (event === 'error') throw boom;
      return emitter.addListener(event, listener);
    };
    const refusing = { on, off: emitter.off.bind(emitter) };
    expect(thrown(() => from(refusing as never, 'reading'))).to.equal(boom);
    expect(emitter.eventNames()).to.deep.equal([]);
  });

  it('throws nothing at a signal when it keeps its listeners', async () => {
    const controller = new AbortController();
    const keeping = Object.assign(new EventEmitter(), { off: teardowns.throws });
    const reading = failure(from(keeping as never, 'reading', { signal: controller.signal }));
    controller.abort(boom);
    expect((await reading).error).to.equal(boom);
  });

  for (const none of [null, undefined, 'sensor', 5, {}, { on() {} }, { on: 1, off: 1 }])
    it(`is none: ${JSON.stringify(none)}`, () => {
      expect(thrown(() => from(none as never, 'reading'))).to.be.instanceOf(TypeError);
      expect(thrown(() => from(none as never, 'reading')).message).to.match(
        /^Expected `source` to be an EventEmitter or an EventTarget, got /,
      );
    });
});
