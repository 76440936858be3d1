import { Readable } from 'node:stream';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { type Source, StatusError } from '../../lib/index.ts';
import { deferred, serve, stopAll, until } from '../support/harness.ts';
import { hearing, messageOf, pulling } from '../support/lifecycle.ts';
import { hasCall, settled, watcher } from '../support/observe.ts';

describe('what a source may return', () => {
  afterEach(stopAll);

  for (const on of pulling) describe(`pulled by ${on}`, () => readsAnything(on));
});

function readsAnything(on: (typeof pulling)[number]): void {
  const kinds: Record<string, () => Source<unknown>> = {
    'an array': () => [1, 2, 3],
    'a Set': () => new Set([1, 2, 3]),
    'an iterator': () => [1, 2, 3].values(),
    'an array of promises': () => [1, Promise.resolve(2), 3],
    'a generator': function* () {
      yield* [1, 2, 3];
    },
    'an async generator': async function* () {
      yield* [1, 2, 3];
    },
    'an AsyncIterable': () => {
      let next = 0;
      return {
        [Symbol.asyncIterator]: () => ({
          next: async () => (next < 3 ? { done: false, value: ++next } : { done: true, value: undefined }),
        }),
      };
    },
    'an AsyncIterable that answers at once': () => {
      let next = 0;
      return {
        [Symbol.asyncIterator]: () => ({
          next: () => (next < 3 ? { done: false, value: ++next } : { done: true, value: undefined }) as never,
        }),
      };
    },
    'a Readable': () => Readable.from([1, 2, 3]),
    'a web ReadableStream': () => ReadableStream.from([1, 2, 3]),
    'an observable': () => ({
      subscribe(observer) {
        for (const value of [1, 2, 3]) observer.next(value);
        observer.complete();
        return () => {};
      },
    }),
    'an observable that takes its time': () => ({
      subscribe(observer) {
        let next = 0;
        const step = () => {
          if (next === 3) return observer.complete();
          observer.next(++next);
          setImmediate(step);
        };
        setImmediate(step);
        return { unsubscribe() {} };
      },
    }),
  };
  for (const [kind, make] of Object.entries(kinds)) {
    it(`S8 reads ${kind}, and a promise of it`, async () => {
      for (const source of [make, async () => make()]) {
        const server = await serve(on, source);
        const { code, messages } = await server.call();
        expect({ code, messages }).to.deep.equal({ code: 0, messages: [1, 2, 3] });
      }
    });
  }

  for (const [shown, value] of [
    ['`undefined` (undefined)', undefined],
    ['`null` (object)', null],
    ['`7` (number)', 7],
    ['`text` (string)', 'text'],
    ['`Object` (object)', {}],
    ['`Object` (object)', { [Symbol.asyncIterator]: () => undefined }],
    ['`Promise` (object)', { subscribe: 7 }],
  ] as const)
    it(`S8 answers INTERNAL and says why when a source returns ${shown}`, async () => {
      for (const source of [() => value, async () => value]) {
        const errors: unknown[] = [];
        const server = await serve(on, source as never, [hearing(errors)]);
        const { code, details, messages } = await server.call();
        expect({ code, details, messages }).to.deep.equal({
          code: status.INTERNAL,
          details: 'the method has no stream',
          messages: [],
        });
        expect(errors).to.have.length(1);
        expect(messageOf(errors[0])).to.match(
          Object(value)[Symbol.asyncIterator]
            ? /^Expected the iterator of a stream to have `next\(\)`, got `undefined` \(undefined\)$/
            : /^Expected a source to return an AsyncIterable or another stream, got `\w+` \(\w+\)(: is a `return` missing, or .*)?$/,
        );
      }
    });

  it('S8 destroys a parked Readable', async () => {
    for (const yields of [false, true]) {
      const seen = watcher();
      const readable = new Readable({ objectMode: true, read() {} });
      if (yields) readable.push(1);
      const server = await serve(on, () => readable, [seen.middleware]);
      const calling = server.open();
      await until('the call has started', () => hasCall(seen));
      if (yields) await until('a message passed', () => seen.messages.length === 1);
      calling.cancel();
      await until('it is destroyed', () => readable.destroyed);
      await settled();
      expect(seen.outcomes.map(({ reason }) => reason)).to.deep.equal(['cancelled']);
    }
  });

  it('S8 ends with the failure of a Readable, also before it was pulled from', async () => {
    for (const held of [false, true]) {
      const seen = watcher();
      const gate = deferred();
      const readable = new Readable({ objectMode: true, read() {} });
      const server = await serve(on, () => readable, [
        seen.middleware,
        ...(held ? [() => ({ ready: () => gate.promise })] : []),
      ]);
      const calling = server.open();
      await until('the call has started', () => hasCall(seen));
      await settled();
      readable.destroy(new StatusError(status.DATA_LOSS, 'torn'));
      await settled();
      gate.resolve();
      const { code, details } = await calling.reply;
      expect({ code, details }).to.deep.equal({ code: status.DATA_LOSS, details: 'torn' });
    }
  });

  it('S8 cancels a parked web ReadableStream', async () => {
    const log: string[] = [];
    const server = await serve(
      on,
      () =>
        new ReadableStream({
          start: controller => controller.enqueue(1),
          cancel: () => void log.push('cancel'),
        }),
    );
    const calling = server.open();
    calling.stream.once('data', () => calling.cancel());
    await until('it is cancelled', () => log.length > 0);
    await settled();
    expect(log).to.deep.equal(['cancel']);
  });

  it('S8 unsubscribes from an observable, once', async () => {
    for (const act of ['cancel', 'complete', 'error'] as const) {
      const log: string[] = [];
      const seen = watcher();
      const server = await serve(
        on,
        () => ({
          subscribe(observer) {
            observer.next(1);
            if (act === 'complete') setImmediate(() => observer.complete());
            if (act === 'error')
              setImmediate(() => observer.error(new StatusError(status.ABORTED, 'enough')));
            return () => void log.push('unsubscribed');
          },
        }),
        [seen.middleware],
      );
      const calling = server.open();
      if (act === 'cancel') calling.stream.once('data', () => calling.cancel());
      const { code, messages } = await calling.reply;
      await until('the call is over', () => seen.outcomes.length > 0);
      await settled();
      expect({ code, messages }).to.deep.equal({
        code: { cancel: 1, complete: 0, error: 10 }[act],
        messages: [1],
      });
      expect(log).to.deep.equal(['unsubscribed']);
    }
  });

  it('S8 ends an observable that runs far ahead of its client, after what it had emitted', async () => {
    const log: string[] = [];
    const block = 'x'.repeat(1000);
    let emitted = 0;
    const server = await serve(on, () => ({
      subscribe(observer) {
        const timer = setInterval(() => {
          for (let i = 0; i < 100; i++) observer.next({ n: ++emitted, block });
        }, 1);
        return () => {
          clearInterval(timer);
          log.push('unsubscribed');
        };
      },
    }));
    const { stream, reply } = server.open({}, { paused: true });
    const messages: { n: number }[] = [];
    stream.once('data', message => {
      messages.push(message);
      stream.pause();
    });
    await until('it is unsubscribed', () => log.length > 0, 9000);
    stream.on('data', message => messages.push(message)).resume();
    const { code, details } = await reply;
    expect({ code, details }).to.deep.equal({
      code: status.RESOURCE_EXHAUSTED,
      details: 'the client is too slow for this stream',
    });
    expect(messages.map(({ n }) => n)).to.deep.equal(messages.map((_, index) => index + 1));
    expect(messages.length).to.be.within(1025, emitted);
    expect(log).to.deep.equal(['unsubscribed']);
  });

  it('S8 reads an observable that emits 5,000 while it is subscribed to, and one more later', async () => {
    const server = await serve(on, () => ({
      subscribe(observer) {
        for (let i = 0; i < 5000; i++) observer.next(i);
        setImmediate(() => {
          observer.next(5000);
          observer.complete();
        });
        return () => {};
      },
    }));
    const { code, messages } = await server.call();
    expect({ code, count: messages.length }).to.deep.equal({ code: status.OK, count: 5001 });
    expect(messages).to.deep.equal(messages.map((_, index) => index));
  });

  it('S8 stores a bounded part of what an observable emits at once, and delivers that', async () => {
    const server = await serve(on, () => ({
      subscribe(observer) {
        for (let i = 0; i < 1_000_000; i++) observer.next(i);
        return () => {};
      },
    }));
    const { code, details, messages } = await server.call();
    expect({ code, details, count: messages.length }).to.deep.equal({
      code: status.RESOURCE_EXHAUSTED,
      details: 'this stream has too much at once',
      count: 131_072,
    });
  });

  it('S8 delivers what an observable emitted before it threw', async () => {
    const server = await serve(on, () => ({
      subscribe(observer) {
        observer.next(1);
        throw new StatusError(status.ABORTED, 'enough');
      },
    }));
    const { code, messages } = await server.call();
    expect({ code, messages }).to.deep.equal({ code: status.ABORTED, messages: [1] });
  });
}
