import { Readable } from 'node:stream';
import { ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import {
  type Call,
  configure,
  counters,
  type Middleware,
  type Source,
  StatusError,
} from '../../lib/index.ts';
import { exotics } from '../support/errors.ts';
import { type AnySource, deferred, serve, stopAll, turn, until } from '../support/harness.ts';
import { hearing, messageOf, narrow, Probe, parked, pulling } from '../support/lifecycle.ts';
import { aborted, hasCall, settled, watcher } from '../support/observe.ts';
import { stalledPeer } from '../support/peer.ts';

describe('the iterator of a source', () => {
  afterEach(stopAll);

  for (const on of pulling) describe(`pulled by ${on}`, () => pulls(on));
});

function pulls(on: (typeof pulling)[number]): void {
  const never = () => new Promise<never>(() => {});
  const value = async (pull: number) => ({ done: false, value: pull });

  it('S2 closes an iterator it never pulled from', async () => {
    const probe = new Probe(value);
    const seen = watcher();
    const gate = deferred();
    const closed: Middleware = () => ({ ready: () => gate.promise });
    const server = await serve(on, () => probe, [seen.middleware, closed]);
    const calling = server.open();
    await until('the call has started', () => hasCall(seen));
    await settled();
    calling.cancel();
    await until('the call is over', () => seen.outcomes.length > 0);
    gate.resolve();
    await settled();
    expect(probe.log).to.deep.equal(['return']);
  });

  it('S2 closes an iterator that came when its call was over', async () => {
    const probe = new Probe(value);
    const seen = watcher();
    const gate = deferred<Source<unknown>>();
    const server = await serve(on, () => gate.promise, [seen.middleware]);
    const calling = server.open();
    await until('the call has started', () => hasCall(seen));
    calling.cancel();
    await until('the call is over', () => seen.outcomes.length > 0);
    gate.resolve(probe);
    await settled();
    expect(probe.log).to.deep.equal(['return']);
  });

  it('S3 releases the call of an iterator that never answers, and counts the orphan', async () => {
    const probe = new Probe(never);
    const orphans: Call[] = [];
    const seen = watcher();
    const before = counters().orphans;
    const server = await serve(on, () => probe, [
      configure({ cleanupGraceMs: 150, onOrphan: call => void orphans.push(call) }),
      seen.middleware,
    ]);
    const calling = server.open();
    await until('it was asked', () => probe.log.length > 0);
    seen.call.signal.addEventListener('abort', () => probe.log.push('abort'));
    calling.cancel();
    await until('the call is over', () => seen.outcomes.length > 0);
    await settled(1);
    expect(probe.log).to.deep.equal(['next', 'abort', 'return']);
    expect(counters().orphans).to.equal(before);
    await until('the orphan is reported', () => orphans.length > 0);
    expect(orphans).to.deep.equal([seen.call]);
    expect(counters().orphans).to.equal(before + 1);
  });

  it('S3 counts the orphan of a source that never gives its iterator', async () => {
    const orphans: Call[] = [];
    const seen = watcher();
    const server = await serve(on, never, [
      configure({ cleanupGraceMs: 15, onOrphan: call => void orphans.push(call) }),
      seen.middleware,
    ]);
    const calling = server.open();
    await until('the call has started', () => hasCall(seen));
    calling.cancel();
    await until('the call is over', () => seen.outcomes.length > 0);
    await until('the orphan is reported', () => orphans.length > 0, 500);
  });

  it('S22 survives a hook that fails when it hears of an orphan', async () => {
    for (const onOrphan of [
      () => {
        throw new Error('the hook is broken');
      },
      () => Promise.reject(new Error('the hook is broken')) as never,
    ]) {
      const before = counters().orphans;
      const seen = watcher();
      const server = await serve(on, () => new Probe(never), [
        configure({ cleanupGraceMs: 1, onOrphan }),
        seen.middleware,
      ]);
      const calling = server.open();
      await until('the call has started', () => hasCall(seen));
      calling.cancel();
      await until('the orphan is counted', () => counters().orphans > before);
      await settled();
    }
  });

  it('S6 does not close an iterator that is done, or that failed', async () => {
    for (const fails of [false, true]) {
      const probe = new Probe(async pull => {
        if (pull < 2) return { done: false, value: pull };
        if (fails) throw new StatusError(status.ABORTED, 'enough');
        return { done: true, value: undefined };
      });
      const server = await serve(on, () => probe);
      const { messages } = await server.call();
      await settled();
      expect(messages).to.deep.equal([0, 1]);
      expect(probe.log).to.deep.equal(['next', 'next', 'next']);
    }
  });

  describe('S7 a `finally`', () => {
    const ending = async (end: () => unknown, sync = false) => {
      const errors: unknown[] = [];
      const seen = watcher();
      const source: AnySource = sync
        ? function* () {
            try {
              for (;;) yield 1;
            } finally {
              yield* end() as Generator;
            }
          }
        : async function* (_request, { signal }) {
            try {
              yield 1;
              await aborted(signal).catch(() => {});
              yield 2;
            } finally {
              yield* end() as AsyncGenerator;
            }
          };
      const server = await serve(on, source, [narrow, hearing(errors), seen.middleware]);
      const calling = server.open();
      calling.stream.once('data', () => seen.call.end({ code: 8, details: 'enough', reason: 'limit' }));
      const { code, details } = await calling.reply;
      expect({ code, details }).to.deep.equal({ code: 8, details: 'enough' });
      await settled();
      expect(seen.outcomes).to.have.length(1);
      return errors.map(messageOf);
    };

    it('that throws changes nothing and is reported once', async () => {
      const fail = () => {
        throw new Error('cannot clean up');
      };
      expect(await ending(fail)).to.deep.equal(['cannot clean up']);
      expect(await ending(fail, true)).to.deep.equal(['cannot clean up']);
    });

    it('that yields changes nothing and is reported once', async () => {
      const yielded = 'the source yielded in `finally`; what follows was not run';
      expect(await ending(() => [7, 8])).to.deep.equal([yielded]);
      expect(await ending(() => [7, 8], true)).to.deep.equal([yielded]);
    });

    it('that never ends does not hold the call', async () => {
      const before = counters().orphans;
      expect(
        await ending(async function* () {
          yield await never();
        }),
      ).to.deep.equal([]);
      await until('the orphan is counted', () => counters().orphans === before + 1);
    });
  });

  it('S7 reports a failure of `return()`, however it fails', async () => {
    for (const fail of [
      () => {
        throw new Error('cannot close');
      },
      () => Promise.reject(new Error('cannot close')),
    ]) {
      const errors: unknown[] = [];
      const seen = watcher();
      const server = await serve(
        on,
        () => ({ [Symbol.asyncIterator]: () => ({ next: never, return: fail }) }),
        [hearing(errors), seen.middleware],
      );
      const calling = server.open();
      await until('the call has started', () => hasCall(seen));
      calling.cancel();
      await until('it is reported', () => errors.length > 0);
      await settled();
      expect(errors.map(messageOf)).to.deep.equal(['cannot close']);
    }
  });

  it('S9 never shares an iterator between two calls', async () => {
    const made: Probe[] = [];
    const server = await serve(on, () => {
      const probe = new Probe(async pull =>
        pull < 3 ? { done: false, value: pull } : { done: true, value: 0 },
      );
      made.push(probe);
      return probe;
    });
    const replies = await Promise.all([server.call(), server.call()]);
    expect(replies.map(({ messages }) => messages)).to.deep.equal([
      [0, 1, 2],
      [0, 1, 2],
    ]);
    expect(made).to.have.length(2);
  });

  for (const [kind, once] of Object.entries<() => Source<unknown>>({
    'an async generator': async function* () {
      yield 1;
    },
    'a generator': function* () {
      yield 1;
    },
    'a Readable': () => Readable.from([1]),
    'a web ReadableStream': () => ReadableStream.from([1]),
  }))
    it(`S9 refuses ${kind} that a call has read before`, async () => {
      const errors: unknown[] = [];
      const stream = once();
      const server = await serve(on, () => stream, [hearing(errors)]);
      expect(await server.call()).to.deep.include({ code: 0, messages: [1] });
      const { code, details } = await server.call();
      expect({ code, details }).to.deep.equal({
        code: status.INTERNAL,
        details: 'the stream is already read',
      });
      expect(errors.map(messageOf)).to.deep.equal([
        'A source must return a new iterator for each call; this one was returned before',
      ]);
    });

  it('S10 has one `next()` in flight at most, and none while the window is full', async () => {
    const probe = new Probe(async pull => {
      await turn();
      return { done: false, value: pull };
    });
    const seen = watcher();
    const server = await serve(on, () => probe, [configure({ maxUnackedMessages: 3 }), seen.middleware]);
    const exchange = stalledPeer(server.port).open();
    await until('the window is full', () => seen.messages.length === 3);
    await settled(10);
    expect(probe.log).to.deep.equal(['next', 'next', 'next']);
    expect(probe.maxInFlight).to.equal(1);
    exchange.reset();
    await until('it was closed', () => probe.log.includes('return'));
    expect(probe.log).to.deep.equal(['next', 'next', 'next', 'return']);
  });

  it('S14 hands on no more bytes than the window has room for', async () => {
    for (const [size, expected] of [
      // Where sizes are not known ahead, one message more has to be sent to know that it was too much.
      [1000, on === 'mount' ? 9 : 10],
      [20_000, 1],
    ] as const) {
      const seen = watcher();
      let handedOn = 0;
      const counting: ServerInterceptor = (_method, call) =>
        new ServerInterceptingCall(call, {
          sendMessage(message, next) {
            handedOn += 1;
            next(message);
          },
        });
      const source: AnySource = async function* () {
        for (;;) yield 'x'.repeat(size - 2);
      };
      const server = await serve(on, source, [configure({ maxUnackedBytes: 10_000 }), seen.middleware], {
        interceptors: [counting],
      });
      const exchange = stalledPeer(server.port).open();
      await until('some have passed', () => handedOn > 0);
      await settled(10);
      expect(handedOn).to.equal(expected);
      exchange.reset();
      await until('the call is over', () => seen.outcomes.length > 0);
    }
  });

  it('S14 sends a message that is larger than the window', async () => {
    const large = 'x'.repeat(300_000);
    const server = await serve(on, () => [large, 'small', large, large], [
      configure({ maxUnackedBytes: 1000 }),
    ]);
    const { code, messages } = await server.call();
    expect(code).to.equal(0);
    expect(messages).to.deep.equal([large, 'small', large, large]);
  });

  it('S20 ends once whatever a source throws that was told to stop', async () => {
    for (const [name, { make }] of Object.entries(exotics)) {
      const seen = watcher();
      const wake = deferred<never>();
      const source: AnySource = () => ({
        [Symbol.asyncIterator]: () => ({
          next: () => wake.promise,
          return: async () => wake.reject(make()) as never,
        }),
      });
      const server = await serve(on, source, [seen.middleware]);
      const calling = server.open();
      await until('the call has started', () => hasCall(seen));
      calling.cancel();
      await until('the call is over', () => seen.outcomes.length > 0);
      await settled(3);
      expect(seen.outcomes, name).to.have.length(1);
    }
  });

  it('S20 runs the `finally` of a generator one of whose promises rejects', async () => {
    const log: string[] = [];
    const server = await serve(on, function* () {
      try {
        yield 1;
        yield Promise.reject(new StatusError(status.ABORTED, 'enough'));
      } finally {
        log.push('finally');
      }
    });
    const { code, messages } = await server.call();
    expect({ code, messages }).to.deep.equal({ code: status.ABORTED, messages: [1] });
    await settled();
    expect(log).to.deep.equal(['finally']);
  });

  it('S20 closes an iterator one of whose promises rejects once, and keeps the first failure', async () => {
    for (const cancels of [false, true]) {
      const log: string[] = [];
      const errors: unknown[] = [];
      const seen = watcher();
      const value = deferred<never>();
      const iterator = {
        next: () => ({ done: false, value: value.promise }),
        return() {
          log.push('return');
          throw new Error('cannot close');
        },
      };
      const server = await serve(on, () => ({ [Symbol.iterator]: () => iterator }), [
        hearing(errors),
        seen.middleware,
      ]);
      const calling = server.open();
      await until('the call has started', () => hasCall(seen));
      if (cancels) {
        calling.cancel();
        await until('the call is over', () => seen.outcomes.length > 0);
        await settled();
      }
      value.reject(new StatusError(status.ABORTED, 'enough'));
      const { code } = await calling.reply;
      await settled();
      expect(code).to.equal(cancels ? status.CANCELLED : status.ABORTED);
      expect(log).to.deep.equal(['return']);
      expect(errors.map(messageOf)).to.deep.equal(cancels ? ['cannot close', '[ABORTED] enough'] : []);
    }
  });

  it('S26 wakes a source that waits for its signal when a layer ends the call with OK', async () => {
    const log: string[] = [];
    const seen = watcher();
    const server = await serve(on, parked(log), [seen.middleware]);
    const calling = server.open();
    calling.stream.once('data', () => seen.call.end({ code: 0, details: 'OK', reason: 'completed' }));
    expect((await calling.reply).code).to.equal(0);
    await until('finally ran', () => log.length > 0, 500);
  });

  it('S4 pulls once for every promise of a layer that kept it waiting', async () => {
    const log: string[] = [];
    const asked: Middleware = () => ({
      async ready() {
        log.push('ready');
      },
    });
    const source: AnySource = function* () {
      for (const value of [1, 2]) {
        log.push(`pull ${value}`);
        yield value;
      }
    };
    const server = await serve(on, source, [asked]);
    const { code, messages } = await server.call({}, { deadline: Date.now() + 1000 });
    expect({ code, messages }).to.deep.equal({ code: 0, messages: [1, 2] });
    expect(log).to.deep.equal(['ready', 'pull 1', 'ready', 'pull 2', 'ready']);
  });

  it('S4 asks layers before the source, and survives whatever they answer', async () => {
    const refuse = () => {
      throw new StatusError(status.ABORTED, 'no');
    };
    const reject = () => Promise.reject(new StatusError(status.ABORTED, 'no'));
    for (const [outer, inner] of [
      [refuse, reject],
      [reject, refuse],
      [reject, reject],
    ] as const) {
      const server = await serve(on, () => [1], [() => ({ ready: outer }), () => ({ ready: inner })]);
      const { code, messages } = await server.call();
      expect({ code, messages }).to.deep.equal({ code: status.ABORTED, messages: [] });
      await settled();
    }
  });
}
