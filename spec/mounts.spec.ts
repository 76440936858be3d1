import { getDefaultHighWaterMark } from 'node:stream';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import {
  type Call,
  compose,
  counters,
  type Layer,
  type Middleware,
  type Outcome,
  StatusError,
} from '../lib/index.ts';
import {
  type AnySource,
  deferred,
  definition,
  handWritten,
  type MountName,
  mountNames,
  type Running,
  serve as serveGrpc,
  start,
  stopAll,
  turn,
  until,
} from './support/harness.ts';
import { delayed } from './support/interceptors.ts';
import { rawCall } from './support/raw.ts';
import { type WebCall, type WebName, webNames } from './support/web-client.ts';
import { serveWeb, stopWeb } from './support/web-serve.ts';

type Place = MountName | WebName;

function isWeb(on: Place): on is WebName {
  return webNames.some(name => name === on);
}

function serve(
  on: Place,
  source: AnySource,
  middleware: Middleware[] = [],
): Promise<Pick<Running, 'port' | 'open' | 'call'>> {
  return isWeb(on) ? serveWeb(on, source, middleware) : serveGrpc(on, source, middleware);
}

/** Writes down what happens to it, in order. */
function recorder(name: string, log: string[]): Middleware {
  return (_call, next) => {
    log.push(`${name} made`);
    return {
      start(inner) {
        log.push(`${name} start`);
        inner();
      },
      message(message) {
        log.push(`${name} message ${JSON.stringify(message)}`);
        next.message(message);
      },
      end({ code, reason }) {
        log.push(`${name} end ${code} ${reason}`);
      },
    };
  };
}

/** Keeps the call and the outcome for the test to look at. */
function watcher(): { middleware: Middleware; call(): Call; outcomes: Outcome[] } {
  let seen: Call | undefined;
  const outcomes: Outcome[] = [];
  return {
    middleware: call => {
      seen = call;
      return { end: outcome => void outcomes.push(outcome) };
    },
    call: () => seen as Call,
    outcomes,
  };
}

const numbers: AnySource = async function* ({ max }) {
  for (let num = 1; num <= max; num++) yield num;
};

/** Yields once, then waits until it is told to stop; says when its `finally` ran. */
function parked(log: string[] = []): AnySource {
  return async function* (_request, call) {
    try {
      yield 'first';
      await new Promise((_resolve, reject) =>
        call.signal.addEventListener('abort', () => reject(call.signal.reason)),
      );
    } finally {
      log.push('finally');
    }
  };
}

describe('the laws', () => {
  afterEach(() => Promise.all([stopAll(), stopWeb()]));
  for (const on of [...mountNames, ...webNames]) describe(`on ${on}`, () => laws(on));
});

function laws(on: Place): void {
  describe('1: a middleware is made once per call, in list order, when the handler is about to start', () => {
    it('makes each once, outermost first, before the source', async () => {
      const log: string[] = [];
      const source: AnySource = () => {
        log.push('source');
        return [];
      };
      const server = await serve(on, source, [recorder('a', log), recorder('b', log)]);
      await server.call();
      expect(log).to.deep.equal([
        'a made',
        'b made',
        'a start',
        'b start',
        'source',
        'b end 0 completed',
        'a end 0 completed',
      ]);
      await server.call();
      expect(log.filter(line => line === 'a made')).to.have.length(2);
    });

    it('ends the call when one throws, and the ones made before hear of it', async () => {
      const log: string[] = [];
      const refuse: Middleware = () => {
        throw new StatusError(status.UNAUTHENTICATED, 'who are you?');
      };
      const server = await serve(on, numbers, [recorder('a', log), refuse, recorder('never', log)]);
      const { code, details, messages } = await server.call({ max: 3 });
      expect({ code, details, messages }).to.deep.equal({ code: 16, details: 'who are you?', messages: [] });
      expect(log).to.deep.equal(['a made', 'a end 16 error']);
    });
  });

  describe('2: start runs outermost first, and the source inside', () => {
    it('starts when the last `next` is called, also later', async () => {
      const log: string[] = [];
      const late: Middleware = () => ({
        start(next) {
          log.push('held');
          setImmediate(() => {
            log.push('let go');
            next();
          });
        },
      });
      const server = await serve(on, numbers, [late, recorder('inner', log)]);
      const { messages } = await server.call({ max: 1 });
      expect(messages).to.deep.equal([1]);
      expect(log.slice(0, 4)).to.deep.equal(['inner made', 'held', 'let go', 'inner start']);
    });

    it('M2 answers INTERNAL when a layer calls inner twice', async () => {
      const twice: Middleware = () => ({
        start(next) {
          next();
          next();
        },
      });
      const server = await serve(on, parked(), [twice]);
      const { code, details } = await server.call();
      expect({ code, details }).to.deep.equal({
        code: status.INTERNAL,
        details: 'a layer called inner() twice in start',
      });
    });

    it('M3 ends once, and never starts the source, when a layer ends the call instead', async () => {
      let started = false;
      const log: string[] = [];
      const closed: Middleware = call => ({
        start: () => call.end({ code: status.UNAVAILABLE, details: 'closed', reason: 'limit' }),
      });
      const source: AnySource = () => {
        started = true;
        return [];
      };
      const server = await serve(on, source, [recorder('out', log), closed, recorder('in', log)]);
      const { code, details } = await server.call();
      expect({ code, details, started }).to.deep.equal({ code: 14, details: 'closed', started: false });
      expect(log.filter(line => line.includes('end'))).to.deep.equal(['in end 14 limit', 'out end 14 limit']);
    });
  });

  describe('3: message runs innermost first, never before start, never after end', () => {
    it('M1 passes each message from the source outwards', async () => {
      const log: string[] = [];
      const server = await serve(on, numbers, [recorder('a', log), recorder('b', log)]);
      await server.call({ max: 2 });
      expect(log.slice(4)).to.deep.equal([
        'b message 1',
        'a message 1',
        'b message 2',
        'a message 2',
        'b end 0 completed',
        'a end 0 completed',
      ]);
    });

    it('lets a layer drop, replace and add messages', async () => {
      const odd: Middleware = (_call, next) => ({
        message(message) {
          if (message % 2 === 0) return;
          next.message({ odd: message });
          next.message('and');
        },
      });
      const server = await serve(on, numbers, [odd]);
      const { messages } = await server.call({ max: 3 });
      expect(messages).to.deep.equal([{ odd: 1 }, 'and', { odd: 3 }, 'and']);
    });

    it('absorbs and counts a message that a layer sends after the end', async () => {
      const log: string[] = [];
      const tardy: Middleware = (_call, next) => ({
        end: () => void setImmediate(() => next.message('late')),
      });
      const server = await serve(on, numbers, [recorder('out', log), tardy]);
      const before = counters().lateMessages;
      const { messages } = await server.call({ max: 1 });
      await until('the late message was counted', () => counters().lateMessages === before + 1);
      expect(messages).to.deep.equal([1]);
      expect(log.filter(line => line.includes('late'))).to.deep.equal([]);
    });
  });

  describe('4: end runs exactly once, innermost first, in every way a call can end', () => {
    const ways: Record<
      string,
      { source: AnySource; expected: string; act?: 'cancel' | 'deadline' | 'destroy' }
    > = {
      completed: { source: numbers, expected: '0 completed' },
      error: {
        source: () => {
          throw new StatusError(status.NOT_FOUND, 'no');
        },
        expected: '5 error',
      },
      cancelled: { source: parked(), expected: '1 cancelled', act: 'cancel' },
      deadline: { source: parked(), expected: '4 deadline', act: 'deadline' },
      // HTTP/1.1 has no other word for leaving than to close the connection.
      disconnected: {
        source: parked(),
        expected: on === 'web over HTTP/1.1' ? '1 cancelled' : '1 disconnected',
        act: 'destroy',
      },
    };
    for (const [way, { source, expected, act }] of Object.entries(ways)) {
      it(way, async () => {
        const log: string[] = [];
        const server = await serve(on, source, [recorder('a', log), recorder('b', log)]);
        if (act === 'destroy') {
          const web = isWeb(on) ? (server.open().stream as unknown as WebCall) : undefined;
          const raw = web ? undefined : rawCall(server.port);
          await until('the first message', () => log.includes('a message "first"'));
          web?.disconnect();
          raw?.socket.destroy();
        } else {
          const calling = server.open({ max: 2 }, act === 'deadline' ? { deadline: Date.now() + 150 } : {});
          if (act === 'cancel') calling.stream.once('data', () => calling.cancel());
          await calling.reply;
        }
        await until('both heard of it', () => log.filter(line => line.includes('end')).length >= 2);
        await turn();
        expect(log.filter(line => line.includes('end'))).to.deep.equal([
          `b end ${expected}`,
          `a end ${expected}`,
        ]);
      });
    }

    it('a handler that never started', async () => {
      const log: string[] = [];
      const never: Middleware = () => ({ start() {} });
      const server = await serve(on, numbers, [recorder('a', log), never]);
      const calling = server.open({ max: 1 });
      await until('the call has started', () => log.includes('a start'));
      calling.cancel();
      await until('the layer heard of it', () => log.includes('a end 1 cancelled'));
      expect(log).to.deep.equal(['a made', 'a start', 'a end 1 cancelled']);
    });
  });

  describe('5: a layer that throws ends the call', () => {
    const boom = () => {
      throw new StatusError(status.FAILED_PRECONDITION, 'boom');
    };
    for (const phase of ['start', 'message'] as const) {
      it(`M4 with its status, in ${phase}`, async () => {
        const log: string[] = [];
        const server = await serve(on, numbers, [
          recorder('out', log),
          (): Layer<any> => ({ [phase]: boom }),
        ]);
        const { code, details } = await server.call({ max: 3 });
        expect({ code, details }).to.deep.equal({ code: 9, details: 'boom' });
        expect(log.at(-1)).to.equal('out end 9 error');
      });
    }

    it('and still ends it when that was in `end`', async () => {
      const log: string[] = [];
      const server = await serve(on, numbers, [recorder('out', log), () => ({ end: boom })]);
      const { code, messages } = await server.call({ max: 3 });
      expect({ code, messages }).to.deep.equal({ code: 9, messages: [1, 2, 3] });
      expect(log.at(-1)).to.equal('out end 9 error');
    });

    it('with the status of the call when it was already failing', async () => {
      const failing: AnySource = () => {
        throw new StatusError(status.NOT_FOUND, 'no');
      };
      const server = await serve(on, failing, [() => ({ end: boom })]);
      expect((await server.call()).code).to.equal(status.NOT_FOUND);
    });

    it('when `ready` throws or rejects', async () => {
      const rejecting = await serve(on, numbers, [
        () => ({ ready: () => Promise.reject(new StatusError(8, 'no room')) }),
      ]);
      expect((await rejecting.call({ max: 3 })).code).to.equal(8);
      const throwing = await serve(on, numbers, [() => ({ ready: boom })]);
      expect((await throwing.call({ max: 3 })).code).to.equal(9);
    });
  });

  describe('6: on cancel the signal aborts, the iterator returns, nothing more is written', () => {
    it('S3 tells a parked source, with the reason', async () => {
      const log: string[] = [];
      const seen = watcher();
      const server = await serve(on, parked(log), [seen.middleware]);
      const calling = server.open();
      calling.stream.once('data', () => calling.cancel());
      await calling.reply;
      await until('finally ran', () => log.length > 0);
      expect(log).to.deep.equal(['finally']);
      expect(seen.outcomes.map(({ reason }) => reason)).to.deep.equal(['cancelled']);
      expect(seen.call().signal.aborted).to.equal(true);
      expect(seen.call().signal.reason).to.include({ name: 'StatusError', code: status.CANCELLED });
    });

    it('S25 never aborts after a clean end', async () => {
      const seen = watcher();
      const server = await serve(on, numbers, [seen.middleware]);
      await server.call({ max: 2 });
      const { signal } = seen.call();
      await until('the call is over', () => seen.outcomes.length > 0);
      for (let i = 0; i < 5; i++) await turn();
      expect(signal.aborted).to.equal(false);
    });

    it('S5 pulls nothing after the signal, and writes nothing that comes late', async () => {
      const gate = deferred();
      const written: unknown[] = [];
      let pulled = 0;
      const source: AnySource = async function* () {
        yield ++pulled;
        await gate.promise;
        yield ++pulled;
        yield ++pulled;
      };
      const seen = watcher();
      const spy: Middleware = (_call, next) => ({
        message(message) {
          written.push(message);
          next.message(message);
        },
      });
      const server = await serve(on, source, [spy, seen.middleware]);
      const calling = server.open();
      calling.stream.once('data', () => calling.cancel());
      await calling.reply;
      await until('the server knows', () => seen.outcomes.length > 0);
      gate.resolve();
      for (let i = 0; i < 5; i++) await turn();
      expect(pulled).to.be.at.most(2);
      expect(written).to.deep.equal([1]);
    });
  });

  if (!isWeb(on))
    describe('7: without layers, bytes and order are those of a bare handler', () => {
      for (const [name, interceptors] of Object.entries(delayed)) {
        it(name, async () => {
          const { handler } = handWritten(({ max }) =>
            Array.from({ length: max }, (_, i) => ({ i, text: 'ü'.repeat(i) })),
          );
          const bare = await start(server => server.addService(definition, { stream: handler }), {
            interceptors: interceptors(),
          });
          const ours = await serveGrpc(
            on,
            ({ max }) => Array.from({ length: max }, (_, i) => ({ i, text: 'ü'.repeat(i) })),
            [],
            { interceptors: interceptors() },
          );
          // A bare handler loses and reorders messages when interceptors delay them and it does not wait.
          const expected = await bare.call({ max: 12 });
          const actual = await ours.call({ max: 12 });
          expect(actual.messages).to.deep.equal(expected.messages);
          expect(actual.messages).to.have.length(12);
          expect(actual.code).to.equal(expected.code);
          expect(actual.header?.toJSON()).to.deep.equal({
            ...expected.header?.toJSON(),
            date: actual.header?.get('date'),
          });
          expect(actual.trailer.toJSON()).to.deep.equal(expected.trailer.toJSON());
        });
      }
    });

  describe('8: a client that does not read bounds what is pulled', () => {
    it('S10 S14 stops at the flow-control window and ours', async () => {
      let pulled = 0;
      const block = 'x'.repeat(1024);
      const source: AnySource = async function* () {
        try {
          for (;;) yield `${++pulled}${block}`;
        } finally {
          pulled = -1;
        }
      };
      const server = await serve(on, source);
      const calling = server.open({}, { paused: true });
      // A grpc-js client takes all it is sent until it was read from once.
      calling.stream.once('data', () => calling.stream.pause());
      let last = -1;
      let looks = 0;
      await until('pulling stands still', () => {
        looks = pulled === last && pulled > 0 ? looks + 1 : 0;
        last = pulled;
        return looks > 30;
      });
      // The kernel's buffers are a window that no one sees, and HTTP/1.1 has no other.
      if (on === 'web over HTTP/1.1') expect(pulled).to.be.below(20_000);
      // What is read and not asked for yet waits in the client's own stream, up to its high-water mark.
      else expect(pulled).to.be.below((65535 + 131072 + getDefaultHighWaterMark(false)) / 1024 + 64);
      calling.cancel();
      await until('the source is released', () => pulled === -1);
    });
  });

  describe('9: compose(a, b) behaves as a, b', () => {
    it('gives the same log, nested at will', async () => {
      const plain: string[] = [];
      const nested: string[] = [];
      const lists: [string[], Middleware[]][] = [
        [plain, [recorder('a', plain), recorder('b', plain), recorder('c', plain)]],
        [
          nested,
          [compose(recorder('a', nested), compose(compose(), recorder('b', nested))), recorder('c', nested)],
        ],
      ];
      for (const [, list] of lists) {
        const server = await serve(on, numbers, list);
        await server.call({ max: 2 });
      }
      expect(nested).to.deep.equal(plain);
    });
  });

  describe('10: headers are sent once, early when asked, also when there is no message', () => {
    it('H10 arrive before the first message', async () => {
      const gate = deferred();
      const source: AnySource = async function* (_request, call) {
        call.header.set('x-early', 'yes');
        call.sendHeader();
        call.sendHeader();
        await gate.promise;
        yield 1;
      };
      const server = await serve(on, source);
      const calling = server.open();
      const header: any = await new Promise(resolve => calling.stream.on('metadata', resolve));
      expect(header.get('x-early')).to.deep.equal(['yes']);
      gate.resolve();
      expect((await calling.reply).messages).to.deep.equal([1]);
    });

    it('S16 arrive with a stream that has no message, and so do trailers', async () => {
      const set: Middleware = call => {
        call.header.set('x-header', 'h');
        return { end: () => call.trailer.set('x-trailer', 't') };
      };
      const server = await serve(on, () => [], [set]);
      const { header, trailer, code, messages } = await server.call();
      expect({ code, messages }).to.deep.equal({ code: 0, messages: [] });
      expect(header?.get('x-header')).to.deep.equal(['h']);
      expect(trailer.get('x-trailer')).to.deep.equal(['t']);
    });

    it('H12 take what layers add until they are sent, and trailers until the end', async () => {
      const add =
        (name: string): Middleware =>
        call => {
          call.header.add('x-list', name);
          return { end: () => call.trailer.add('x-list', name) };
        };
      const server = await serve(on, numbers, [add('a'), add('b')]);
      const { header, trailer } = await server.call({ max: 1 });
      expect(header?.get('x-list')).to.deep.equal(['a, b']);
      expect(trailer.get('x-list')).to.deep.equal(['b, a']);
    });
  });

  describe('11: a stream that ends has no timer, listener or iterator left', () => {
    it('L6 S28 whatever ended it', async () => {
      const seen = watcher();
      const server = await serve(on, ({ wait }) => (wait ? parked()({}, seen.call()) : [1, 2, 3]), [
        seen.middleware,
      ]);
      const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length;
      await server.call();
      const before = timers();
      await server.call({}, { deadline: Date.now() + 60_000 });
      const cancelled = server.open({ wait: true });
      cancelled.stream.once('data', () => cancelled.cancel());
      await cancelled.reply;
      await until('all three are over', () => seen.outcomes.length === 3);
      await until('no timer is left', () => timers() <= before);
    });
  });

  describe('12: the order of messages is the order of yields, through any middleware', () => {
    it('R7 keeps order, loses nothing and repeats nothing', async () => {
      const through: Middleware = (_call, next) => ({ message: message => next.message(message) });
      const server = await serve(on, numbers, [through, through, through]);
      const { messages } = await server.call({ max: 20_000 });
      expect(messages).to.have.length(20_000);
      expect(messages.every((message, index) => message === index + 1)).to.equal(true);
    });
  });
}
