import { Metadata, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import {
  type Call,
  callOf,
  configure,
  counters,
  drain,
  interceptor,
  type Kind,
  key,
  type Middleware,
  mount,
  type Outcome,
  only,
  produce,
  type Requests,
  StatusError,
  wrap,
} from '../lib/index.ts';
import { batch } from '../middleware/batch.ts';
import { checksum } from '../middleware/checksum.ts';
import { errors } from '../middleware/errors.ts';
import { heartbeat } from '../middleware/heartbeat.ts';
import { limits } from '../middleware/limits.ts';
import { logging } from '../middleware/logging.ts';
import { metadata } from '../middleware/metadata.ts';
import { connectRaw, frame, requestRaw, statusOf } from './support/frames.ts';
import {
  deferred,
  type MountName,
  mountNames,
  quiet,
  start,
  stopAll,
  turn,
  until,
} from './support/harness.ts';
import {
  type AnyMethod,
  byHand,
  calling,
  kinds,
  serveKind,
  service,
  streamsIn,
  streamsOut,
} from './support/kinds.ts';

/** Answers with all that was asked for, in the way of its kind. */
const echo: Record<Kind, AnyMethod> = {
  unary: request => ({ said: [request] }),
  async clientStream(requests) {
    const said = [];
    for await (const request of requests) said.push(request);
    return { said };
  },
  *serverStream(request) {
    yield { said: [request] };
  },
  async *bidi(requests) {
    for await (const request of requests) yield { said: [request] };
  },
};

/** Waits for its end in the way of its kind, and says what it was told. */
function waiting(log: unknown[]): Record<Kind, AnyMethod> {
  const told = (signal: AbortSignal) =>
    new Promise<never>((_resolve, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener('abort', () => reject(signal.reason));
    });
  const noted = async (wait: () => Promise<unknown>) => {
    log.push('started');
    try {
      return await wait();
    } catch (error) {
      log.push(error);
      throw error;
    } finally {
      log.push('finally');
    }
  };
  const read = async (requests: Requests<unknown>) => {
    for await (const request of requests) log.push(request);
    log.push('complete');
    return {};
  };
  return {
    unary: (_request, { signal }) => noted(() => told(signal)),
    clientStream: requests => noted(() => read(requests)),
    async *serverStream(_request, { signal }) {
      yield await noted(() => told(signal));
    },
    async *bidi(requests) {
      yield await noted(() => read(requests));
    },
  };
}

interface Watch {
  readonly middleware: Middleware;
  readonly outcomes: Outcome[];
  readonly reports: unknown[];
  call(): Call;
}

function watcher(): Watch {
  let seen: Call | undefined;
  const outcomes: Outcome[] = [];
  const reports: unknown[] = [];
  const loud = configure({ onError: error => reports.push(error), onOrphan: () => {}, cleanupGraceMs: 50 });
  return {
    middleware(call, next) {
      void loud(call, next);
      seen = call;
      return { end: outcome => void outcomes.push(outcome) };
    },
    outcomes,
    reports,
    call: () => seen as Call,
  };
}

const on4x4 = (run: (on: MountName, kind: Kind) => void, which: readonly Kind[] = kinds) => {
  for (const on of mountNames) for (const kind of which) describe(`${kind} on ${on}`, () => run(on, kind));
};

const ours: readonly MountName[] = ['produce', 'mount'];

describe('methods of all kinds', () => {
  afterEach(stopAll);

  on4x4((on, kind) => {
    it('answers, with headers, trailers and one end', async () => {
      const { middleware, outcomes, call } = watcher();
      const server = await serveKind(on, kind, echo[kind], [
        middleware,
        metadata({ header: { 'x-header': 'h' }, trailer: { 'x-trailer': 't' } }),
      ]);
      const requests = streamsIn(kind) ? [1, 2, 3] : [1];
      const { messages, code, header, trailer } = await calling(server, kind, requests).reply;
      const all =
        kind === 'clientStream' ? [{ said: requests }] : requests.map(request => ({ said: [request] }));
      expect({ code, messages }).to.deep.equal({ code: 0, messages: all });
      expect(header?.get('x-header')).to.deep.equal(['h']);
      expect(trailer.get('x-trailer')).to.deep.equal(['t']);
      expect(outcomes.map(({ reason }) => reason)).to.deep.equal(['completed']);
      expect(call().kind).to.equal(kind);
      expect(call().signal.aborted).to.equal(false);
    });

    it('passes messages through the layers, which may change them', async () => {
      const twice: Middleware = (_call, next) => ({
        message: message => next.message({ changed: message }),
      });
      const server = await serveKind(on, kind, echo[kind], [twice]);
      const { messages } = await calling(server, kind, [1]).reply;
      expect(messages).to.deep.equal([{ changed: { said: [1] } }]);
    });

    it('ends as a StatusError says, and hides what else is thrown', async () => {
      const { middleware, reports } = watcher();
      const failing: AnyMethod = request => {
        throw request === 'mine' ? new StatusError(status.NOT_FOUND, 'none here') : new Error('secret');
      };
      const late: AnyMethod = async () => failing('mine', undefined as never);
      for (const method of [failing, late]) {
        const server = await serveKind(on, kind, method, [middleware]);
        const { code, details } = await calling(server, kind, ['mine']).reply;
        if (method === late || !streamsIn(kind))
          expect({ code, details }).to.deep.equal({ code: 5, details: 'none here' });
      }
      const server = await serveKind(on, kind, () => failing('', undefined as never), [middleware]);
      const { code, details } = await calling(server, kind, ['other']).reply;
      expect({ code, details }).to.deep.equal({ code: 2, details: 'internal error' });
      expect(reports.map(error => (error as Error).message)).to.include('secret');
    });

    it('K4 hears of a cancel while it waits: signal, `finally`, one outcome', async () => {
      const log: unknown[] = [];
      const { middleware, outcomes } = watcher();
      const server = await serveKind(on, kind, waiting(log)[kind], [middleware]);
      const { stream } = calling(server, kind, ['a'], { endless: streamsIn(kind) });
      await until('it has started', () => log.length > (streamsIn(kind) ? 1 : 0));
      stream.cancel();
      await until('it has finished', () => log.at(-1) === 'finally');
      expect(log).not.to.include('complete');
      expect(outcomes.map(({ code, reason }) => [code, reason])).to.deep.equal([[1, 'cancelled']]);
    });

    it('K4 hears of a deadline while it waits', async () => {
      const log: unknown[] = [];
      const { middleware, outcomes } = watcher();
      const server = await serveKind(on, kind, waiting(log)[kind], [middleware]);
      const deadline = Date.now() + 60;
      const { reply } = calling(server, kind, ['a'], { endless: streamsIn(kind), deadline });
      expect((await reply).code).to.equal(4);
      await until('it has finished', () => log.at(-1) === 'finally');
      expect(log).not.to.include('complete');
      await until('its end', () => outcomes.length > 0);
      expect(outcomes.map(({ code, reason }) => [code, reason])).to.deep.equal([[4, 'deadline']]);
    });

    it('K4 hears that the connection is gone while it waits', async () => {
      const log: unknown[] = [];
      const { middleware, outcomes } = watcher();
      const server = await serveKind(on, kind, waiting(log)[kind], [middleware]);
      const { reply } = calling(server, kind, ['a'], { endless: streamsIn(kind) });
      await until('it has started', () => log.length > (streamsIn(kind) ? 1 : 0));
      server.server.forceShutdown();
      await reply;
      await until('it has finished', () => log.at(-1) === 'finally');
      expect(log).not.to.include('complete');
      expect(outcomes.map(({ code }) => code)).to.deep.equal([1]);
    });

    it('K6 has one slot, one log line, one mapping and the checksum of what was sent', async () => {
      const lines: string[] = [];
      const logger = {
        debug() {},
        info: (text: string) => lines.push(text),
        warn: (text: string) => lines.push(text),
        error: (text: string) => lines.push(text),
      };
      const gate = deferred();
      const slow: AnyMethod = async (request, call) => {
        await gate.promise;
        return echo[kind](request, call);
      };
      const list = [
        logging({ logger }),
        errors({ rules: [[RangeError, status.OUT_OF_RANGE]] }),
        limits({ maxStreams: 1 }),
        checksum({ bytes: message => JSON.stringify(message) }),
        batch({ maxItems: 10, maxDelayMs: 5 }),
        heartbeat({ everyMs: 10, make: () => ({ beat: true }) }),
      ];
      const server = await serveKind(on, kind, slow, list);
      const first = calling(server, kind, [1]);
      await until('it has started', () => lines.length === 1);
      const { code } = await calling(server, kind, [1]).reply;
      expect(code, 'one too many').to.equal(8);
      if (streamsOut(kind)) await until('a heartbeat', () => first.messages.length > 0);
      gate.resolve();
      const { messages, trailer } = await first.reply;
      expect(messages.filter(message => !message.beat)).to.deep.equal([{ said: [1] }]);
      if (!streamsOut(kind)) expect(messages).to.have.length(1);
      expect(trailer.get('x-checksum')).to.have.length(1);
      expect(lines.filter(line => line.endsWith('finished'))).to.have.length(2);
      const again = await calling(server, kind, [1]).reply;
      expect(again.code, 'the slot was given back').to.equal(0);
    });

    it('K6 maps an error once', async () => {
      const method: AnyMethod = async () => {
        throw new RangeError('beyond');
      };
      const mapped = errors({
        rules: [
          [RangeError, status.OUT_OF_RANGE],
          [status.UNKNOWN, status.OUT_OF_RANGE],
        ],
      });
      const server = await serveKind(on, kind, method, [mapped]);
      expect((await calling(server, kind, [1]).reply).code).to.equal(11);
    });

    describe('K8 an asynchronous middleware', () => {
      it('is waited for, in list order, before the method starts', async () => {
        const log: string[] = [];
        const named = (name: string, wait: boolean): Middleware =>
          wait
            ? async () => {
                log.push(`${name} asked`);
                await turn();
                log.push(`${name} made`);
                return {
                  start: inner => {
                    log.push(`${name} start`);
                    inner();
                  },
                };
              }
            : () => {
                log.push(`${name} made`);
              };
        const method: AnyMethod = (request, call) => {
          log.push('method');
          return echo[kind](request, call);
        };
        const server = await serveKind(on, kind, method, [
          named('a', true),
          named('b', false),
          named('c', true),
        ]);
        const { code, messages } = await calling(server, kind, [1]).reply;
        expect({ code, messages }).to.deep.equal({ code: 0, messages: [{ said: [1] }] });
        expect(log).to.deep.equal([
          'a asked',
          'a made',
          'b made',
          'c asked',
          'c made',
          'a start',
          'c start',
          'method',
        ]);
      });

      it('ends the call when it rejects, by the one ladder, and the method never starts', async () => {
        const { middleware, outcomes, reports } = watcher();
        let started = false;
        const method: AnyMethod = (request, call) => {
          started = true;
          return echo[kind](request, call);
        };
        const refuse: Middleware = async ({ metadata }) => {
          await turn();
          if (metadata.get('user').length) throw new StatusError(status.UNAUTHENTICATED, 'who are you?');
          throw new Error('secret');
        };
        const server = await serveKind(on, kind, method, [middleware, refuse]);
        const unknown = await calling(server, kind).reply;
        expect(unknown).to.include({ code: 2, details: 'internal error' });
        const named = calling(server, kind, [{}], { metadata: withUser('me') });
        expect(await named.reply).to.include({ code: 16, details: 'who are you?' });
        expect(outcomes.map(({ code }) => code)).to.deep.equal([2, 16]);
        expect(reports.map(error => (error as Error).message)).to.deep.equal(['secret']);
        expect(started).to.equal(false);
      });

      for (const [end, code] of [
        ['cancel', 1],
        ['deadline', 4],
      ] as const)
        it(`does not hold the end of its call: ${end}; its layer hears of that when it comes late`, async () => {
          const { middleware, outcomes } = watcher();
          const gate = deferred();
          const log: string[] = [];
          let asked = false;
          const slow: Middleware = async () => {
            asked = true;
            await gate.promise;
            return {
              start: () => void log.push('start'),
              end: ({ code }) => void log.push(`end ${code}`),
            };
          };
          const method: AnyMethod = () => {
            log.push('method');
            return [];
          };
          const server = await serveKind(on, kind, method, [middleware, slow]);
          const options = end === 'deadline' ? { deadline: Date.now() + 60 } : {};
          const { stream, reply } = calling(server, kind, [1], { ...options, endless: streamsIn(kind) });
          await until('it is asked', () => asked);
          if (end === 'cancel') stream.cancel();
          expect((await reply).code).to.equal(code);
          await until('all others hear of it', () => outcomes.length > 0);
          gate.resolve();
          await until('it hears of it', () => log.length > 0);
          expect(log).to.deep.equal([`end ${code}`]);
          expect(outcomes.map(({ code }) => code)).to.deep.equal([code]);
        });

      it('that never settles is reported once its call is over', async () => {
        const orphans: Call[] = [];
        const before = counters().orphans;
        let asked = false;
        const told = configure({
          onError: () => {},
          onOrphan: call => void orphans.push(call),
          cleanupGraceMs: 10,
        });
        const never: Middleware = () => {
          asked = true;
          return new Promise(() => {});
        };
        const server = await serveKind(on, kind, echo[kind], [told, never]);
        const { stream } = calling(server, kind, [1]);
        await until('it is asked', () => asked);
        stream.cancel();
        await until('it is reported', () => orphans.length > 0);
        expect(orphans.map(({ path }) => path)).to.deep.equal([service[kind].path]);
        expect(counters().orphans).to.equal(before + 1);
      });
    });

    it('K9 hands values to later layers, the method and hooks, and to no other call', async () => {
      const user = key<string>('user');
      const seen: unknown[] = [];
      const auth: Middleware = async call => {
        await turn();
        const [name] = call.metadata.get('user');
        if (name !== undefined) call.values.set(user, String(name));
      };
      const later: Middleware = call => {
        seen.push(call.values.has(user) && call.values.get(user));
        return { end: () => void seen.push(call.values.has(user) && call.values.get(user)) };
      };
      const method: AnyMethod = (request, call) => {
        seen.push(call.values.has(user) && call.values.get(user));
        return echo[kind](request, call);
      };
      const server = await serveKind(on, kind, method, [auth, later]);
      await calling(server, kind, [1], { metadata: withUser('ann') }).reply;
      await calling(server, kind, [1], { metadata: withUser('bob') }).reply;
      await calling(server, kind, [1]).reply;
      expect(seen).to.deep.equal([...Array(3).fill('ann'), ...Array(3).fill('bob'), ...Array(3).fill(false)]);
    });

    it('K9 fails, and reports, when nobody has set what is asked for', async () => {
      const { middleware, reports } = watcher();
      const user = key<string>('user');
      const method: AnyMethod = async (_request, call) => call.values.get(user);
      const server = await serveKind(on, kind, method, [middleware]);
      expect(await calling(server, kind, [1]).reply).to.include({ code: 2, details: 'internal error' });
      const texts = reports.map(error => (error as Error).message);
      expect(texts).to.deep.equal(['Expected the value of `user` to be set by a middleware of this call']);
    });

    it('tells where the connection comes from, and that there is no certificate', async () => {
      let info: object = {};
      let auth: object | undefined;
      let peer = '';
      const method: AnyMethod = (request, call) => {
        info = call.connectionInfo;
        auth = call.authContext;
        peer = call.peer;
        return echo[kind](request, call);
      };
      const server = await serveKind(on, kind, method);
      await calling(server, kind, [1]).reply;
      expect(info).to.include({ remoteAddress: '127.0.0.1', localPort: server.port });
      expect(peer).to.match(/^127\.0\.0\.1:\d+$/);
      expect(auth).to.deep.equal({});
    });
  });

  for (const on of ours)
    describe(`K1 a unary method on ${on}`, () => {
      const mistakes: [string, AnyMethod][] = [
        ['nothing', () => {}],
        ['a promise of nothing', async () => {}],
        ['null', () => null],
        ['an error', () => new StatusError(status.NOT_FOUND, 'none')],
        ['a promise of an error', async () => new RangeError('none')],
        ['a list', () => [1]],
        ['a stream', () => (async function* () {})()],
        ['a promise of a stream', async () => (async function* () {})()],
        ['an observable', () => ({ subscribe: () => () => {} })],
        ['a promise of a status', async () => new StatusError(5, 'is thrown')],
      ];
      for (const [what, method] of mistakes)
        it(`answers INTERNAL, and says why to the developer, when it returns ${what}`, async () => {
          for (const kind of ['unary', 'clientStream'] as const) {
            const { middleware, outcomes, reports } = watcher();
            const server = await serveKind(on, kind, method, [middleware]);
            const { code, details } = await calling(server, kind, [1]).reply;
            expect({ code, details }).to.deep.equal({ code: 13, details: 'the method has no answer' });
            expect(reports).to.have.length(1);
            expect(String(reports[0])).to.match(/^TypeError: Expected a method that answers once to return/);
            expect(outcomes).to.have.length(1);
          }
        });

      it('S20 has one legal status for whatever it throws, returns or rejects with', async () => {
        for (const value of [
          undefined,
          'text',
          Object.freeze({}),
          hostile,
          Symbol('s'),
          { code: 0, details: '' },
        ])
          for (const method of [
            () => {
              throw value;
            },
            () => Promise.reject(value),
            () => hostile,
            async () => ({ hostile }),
          ] as AnyMethod[]) {
            const server = await serveKind(on, 'unary', method);
            const { code } = await calling(server, 'unary', [1]).reply;
            expect(code).to.be.within(1, 16);
            await server.close();
          }
      });

      it('takes bytes for a message, and text', async () => {
        for (const message of [Buffer.from('bytes'), 'text']) {
          const server = await serveKind(on, 'unary', () => message);
          expect((await calling(server, 'unary', [1]).reply).code).to.equal(0);
        }
      });

      it('is told of a handler that calls back, and belongs into wrap()', async () => {
        const { middleware, reports } = watcher();
        // Its text does not show it.
        const handler = ((_call: unknown, callback: any) => callback(null, { never: true })).bind(undefined);
        const server = await serveKind(on, 'unary', handler, [middleware]);
        const { code } = await calling(server, 'unary', [1]).reply;
        expect(code).to.equal(13);
        expect(String(reports[0])).to.include('a handler of grpc-js goes in by `wrap(handler)`');
      });

      it('is told so of handlers of the other kinds, too', async () => {
        const handlers: Partial<Record<Kind, AnyMethod>> = {
          clientStream: (...[call]: any[]) => call.on('data', () => {}),
          serverStream: (...[call]: any[]) => call.write(1),
          bidi: (...[call]: any[]) => call.on('data', () => {}),
        };
        for (const [kind, handler] of Object.entries(handlers) as [Kind, AnyMethod][]) {
          const { middleware, reports } = watcher();
          const server = await serveKind(on, kind, handler, [middleware]);
          expect((await calling(server, kind, [1]).reply).code).to.equal(2);
          expect(reports.map(String)).to.deep.equal([
            `TypeError: call.${kind === 'serverStream' ? 'write' : 'on'} is not a function; a handler of grpc-js goes in by \`wrap(handler)\``,
          ]);
        }
      });

      it('closes the stream that it should not have returned', async () => {
        let closed = false;
        const method = () => ({
          [Symbol.asyncIterator]: () => ({
            next: () => new Promise(() => {}),
            return: async () => {
              closed = true;
              return { done: true, value: undefined };
            },
          }),
        });
        const server = await serveKind(on, 'unary', method);
        expect((await calling(server, 'unary', [1]).reply).code).to.equal(13);
        expect(closed).to.equal(true);
      });

      it('is an orphan while it has not finished after its call', async () => {
        const before = counters().orphans;
        let started = false;
        const server = await serveKind(on, 'unary', () => {
          started = true;
          return new Promise(() => {});
        });
        const { stream } = calling(server, 'unary', [1]);
        await until('it has started', () => started);
        stream.cancel();
        await until('it is counted', () => counters().orphans === before + 1);
      });
    });

  on4x4(
    (on, kind) => {
      it('K2 reads requests as they come, and answers without waiting for the last', async () => {
        const method: AnyMethod =
          kind === 'bidi'
            ? echo.bidi
            : async (requests: Requests<unknown>) => {
                for await (const request of requests) return { first: request };
                return {};
              };
        const server = await serveKind(on, kind, method);
        const { stream, messages, reply } = calling(server, kind, [1], { endless: true });
        await until('the first answer', () => messages.length === 1);
        if (kind === 'bidi') {
          stream.write(2);
          await until('the second answer', () => messages.length === 2);
          stream.end();
        }
        expect((await reply).code).to.equal(0);
      });

      it('K2 is in time with the client: a loop that is stuck reads little ahead, and goes on later', async () => {
        const gate = deferred();
        let decoded = 0;
        const method: AnyMethod = async (requests: Requests<unknown>) => {
          let count = 0;
          for await (const _ of requests) {
            if (count++ === 0) await gate.promise;
          }
          return kind === 'bidi' ? [{ count }] : { count };
        };
        const counting: any = (server: any) => {
          const definition = {
            ...service[kind],
            requestDeserialize(bytes: Buffer) {
              decoded += 1;
              return bytes.length;
            },
          };
          const made = byHand(kind, method);
          const handler = on === 'wrap' ? wrap(made.handler as never, quiet) : made.handler;
          if (on === 'mount') mount(server, { [kind]: definition }, { [kind]: method }, quiet);
          else if (on === 'produce')
            server.addService({ [kind]: definition }, { [kind]: produce(method as never, quiet) });
          else server.addService({ [kind]: definition }, { [kind]: handler });
        };
        const server = await start(
          counting,
          on === 'interceptor' ? { interceptors: [interceptor(quiet)] } : {},
        );
        // Each is larger than what HTTP/2 gives at once, so that grpc-js decodes no more than is asked for.
        const large = 'x'.repeat(30_000);
        const { reply } = calling(server, kind, Array(60).fill(large));
        await until('it is stuck', () => decoded > 10);
        for (let turns = 0; turns < 200; turns++) await turn();
        // One in hand, 16 ahead, and what grpc-js had of the last piece.
        expect(decoded).to.be.lessThan(25);
        gate.resolve();
        const { messages, code } = await reply;
        expect({ code, messages }).to.deep.equal({ code: 0, messages: [{ count: 60 }] });
      });

      it('K3 is not harmed when the loop is left early; what comes later is discarded', async () => {
        const method: AnyMethod = async (requests: Requests<unknown>) => {
          for await (const _ of requests) break;
          await turn();
          return kind === 'bidi' ? [{ answer: 1 }, { answer: 2 }] : { answer: 1 };
        };
        const { middleware, outcomes } = watcher();
        const server = await serveKind(on, kind, method, [middleware]);
        const { messages, code } = await calling(server, kind, [1, 2, 3], { endless: true }).reply;
        expect(code).to.equal(0);
        expect(messages[0]).to.deep.equal({ answer: 1 });
        expect(outcomes.map(({ reason }) => reason)).to.deep.equal(['completed']);
      });

      it('K3 answers also when it never reads', async () => {
        const server = await serveKind(on, kind, async () =>
          kind === 'bidi' ? [{ answer: 1 }] : { answer: 1 },
        );
        const { messages, code } = await calling(server, kind, [1, 2, 3], { endless: true }).reply;
        expect({ code, messages }).to.deep.equal({ code: 0, messages: [{ answer: 1 }] });
      });

      it('K4 takes no truncated upload for a complete one, when its client leaves at once', async () => {
        for (let round = 0; round < 10; round++) {
          const log: unknown[] = [];
          const server = await serveKind(on, kind, waiting(log)[kind]);
          const { stream } = calling(server, kind, [1, 2], { endless: true });
          if (round % 2) await until('it has read', () => log.includes(2));
          else await until('it has started', () => log.length > 0);
          stream.cancel();
          await until('it has finished', () => log.at(-1) === 'finally');
          expect(log).not.to.include('complete');
          await server.close();
        }
      });

      for (const user of ['grpc-node-js/1.14.7', 'grpc-go/1.80.0'])
        for (const missing of [1, 4, 11])
          it(`K4 takes no truncated upload for a complete one, when ${user} ends it ${missing} bytes early`, async () => {
            const log: unknown[] = [];
            const { middleware, outcomes } = watcher();
            const server = await serveKind(on, kind, waiting(log)[kind], [middleware]);
            const session = connectRaw(server.port);
            const body = Buffer.concat([frame(Buffer.from('[1]')), frame(Buffer.from('[1,2]  '))]);
            const stream = requestRaw(session, body.subarray(0, -missing), {
              ':path': service[kind].path,
              'user-agent': user,
            });
            expect(await statusOf(stream)).to.equal('13');
            await until('it has finished', () => log.at(-1) === 'finally');
            expect(log).not.to.include('complete');
            expect(outcomes.map(({ code, reason }) => [code, reason])).to.deep.equal([[13, 'error']]);
            session.close();
          });

      it('K5 ends with one status when a request cannot be decoded in mid-loop; its slot is returned', async () => {
        const log: unknown[] = [];
        const { middleware, outcomes } = watcher();
        const list = [middleware, limits({ maxStreams: 1 })];
        const server = await serveKind(on, kind, waiting(log)[kind], list);
        for (const round of [1, 2]) {
          const { stream, reply } = calling(server, kind, [1], { endless: true });
          await until('it has read', () => log.includes(1));
          stream.write(Buffer.from('{"not json'));
          const { code } = await reply;
          expect(code).to.equal(status.INTERNAL);
          await until('it has finished', () => log.at(-1) === 'finally');
          expect(log).not.to.include('complete');
          expect(outcomes.map(({ code, reason }) => [code, reason])).to.deep.equal(
            Array(round).fill([13, 'error']),
          );
          log.length = 0;
        }
      });

      if (kind === 'bidi')
        it('K5 ends with that status also when messages were sent before', async () => {
          const { middleware, outcomes } = watcher();
          const server = await serveKind(on, kind, echo.bidi, [middleware]);
          const { stream, messages, reply } = calling(server, kind, [1], { endless: true });
          await until('it has answered', () => messages.length === 1);
          stream.write(Buffer.from('{"not json'));
          expect((await reply).code).to.equal(status.INTERNAL);
          await until('its end', () => outcomes.length > 0);
          expect(outcomes.map(({ code, reason }) => [code, reason])).to.deep.equal([[13, 'error']]);
        });

      it('K5 ends with RESOURCE_EXHAUSTED when a request is too large', async () => {
        const log: unknown[] = [];
        const { middleware, outcomes } = watcher();
        const options = { 'grpc.max_receive_message_length': 100 };
        const server = await serveKind(on, kind, waiting(log)[kind], [middleware], options);
        const { stream, reply } = calling(server, kind, [1], { endless: true });
        await until('it has read', () => log.includes(1));
        stream.write('x'.repeat(1000));
        expect((await reply).code).to.equal(status.RESOURCE_EXHAUSTED);
        await until('it has finished', () => log.at(-1) === 'finally');
        expect(outcomes.map(({ code, reason }) => [code, reason])).to.deep.equal([[8, 'error']]);
      });

      it('is not idle while its client sends', async () => {
        const server = await serveKind(on, kind, upload(kind), [limits({ idleTimeoutMs: 60 })]);
        const { stream, reply } = calling(server, kind, [], { endless: true });
        for (let count = 0; count < 15; count++) {
          stream.write(count);
          await new Promise(resolve => setTimeout(resolve, 10));
        }
        stream.end();
        expect((await reply).code).to.equal(0);
      });
    },
    ['clientStream', 'bidi'],
  );

  for (const on of ours)
    for (const kind of ['clientStream', 'bidi'] as const)
      describe(`requests of ${kind} on ${on}`, () => {
        it('K4 throw the reason of a drain at who waits for more, once all that came was read', async () => {
          const log: unknown[] = [];
          const { middleware, outcomes } = watcher();
          const server = await serveKind(on, kind, waiting(log)[kind], [middleware]);
          const { reply } = calling(server, kind, [1, 2], { endless: true });
          await until('it has read', () => log.includes(2));
          await drain(server.server, { graceMs: 5000 });
          expect((await reply).code).to.equal(14);
          expect(log.slice(0, 3)).to.deep.equal(['started', 1, 2]);
          expect(log.slice(3).map(String)).to.deep.equal([
            'StatusError: [UNAVAILABLE] the server is shutting down',
            'finally',
          ]);
          expect(outcomes.map(({ reason }) => reason)).to.deep.equal(['drain']);
        });

        it('throw `signal.reason` when the call is over', async () => {
          const thrown: unknown[] = [];
          let signal: AbortSignal | undefined;
          const method: AnyMethod = async (requests: Requests<unknown>, call) => {
            signal = call.signal;
            try {
              for await (const _ of requests);
            } catch (error) {
              thrown.push(error);
            }
            try {
              for await (const _ of { [Symbol.asyncIterator]: () => requests[Symbol.asyncIterator]() });
            } catch (error) {
              thrown.push(error);
            }
            return kind === 'bidi' ? [] : {};
          };
          const server = await serveKind(on, kind, method);
          const { stream } = calling(server, kind, [1], { endless: true });
          await until('it has started', () => signal !== undefined);
          stream.cancel();
          await until('it has thrown', () => thrown.length === 2);
          expect(thrown[0]).to.equal(signal?.reason);
          expect(String(thrown[1])).to.include('Requests can be read once');
        });

        it('end for who reads on in the background of a call that ended well', async () => {
          let read: Promise<unknown[]> | undefined;
          const method: AnyMethod = async (requests: Requests<unknown>) => {
            const reader = requests[Symbol.asyncIterator]();
            const first = await reader.next();
            read = Promise.all([reader.next(), reader.next()]);
            return kind === 'bidi' ? [first.value] : first.value;
          };
          const server = await serveKind(on, kind, method);
          const { reply } = calling(server, kind, [1], { endless: true });
          expect((await reply).messages).to.deep.equal([1]);
          expect(await read).to.deep.equal([
            { done: true, value: undefined },
            { done: true, value: undefined },
          ]);
        });

        it('may be read by several at once, each request by one of them', async () => {
          const method: AnyMethod = async (requests: Requests<unknown>) => {
            const reader = requests[Symbol.asyncIterator]();
            const steps = await Promise.all([reader.next(), reader.next(), reader.next()]);
            const said = steps.map(({ value = 'end' }) => value);
            return kind === 'bidi' ? [said] : said.join();
          };
          const server = await serveKind(on, kind, method);
          const { messages } = await calling(server, kind, [1, 2]).reply;
          expect(String(messages)).to.equal('1,2,end');
        });

        it('cost the client nothing but waiting when nobody reads what it sends for ever', async () => {
          const gate = deferred();
          const method: AnyMethod = async (requests: Requests<unknown>) => {
            for await (const _ of requests) break;
            await gate.promise;
            return kind === 'bidi' ? [1] : 1;
          };
          const server = await serveKind(on, kind, method);
          const { stream, reply } = calling(server, kind, [1], { endless: true });
          const large = 'x'.repeat(20_000);
          let waits = false;
          for (let count = 0; count < 400 && !waits; count++) {
            waits = !stream.write(large);
            if (waits)
              waits = await Promise.race([turns(100).then(() => true), drained(stream).then(() => false)]);
          }
          expect(waits).to.equal(true);
          gate.resolve();
          expect((await reply).code).to.equal(0);
        });
      });

  describe('K7 wrap()', () => {
    const callbacks: [string, AnyMethod, object, object?][] = [
      [
        'calls back twice',
        (_call, callback: any) => {
          callback(null, 1);
          callback(null, 2);
          callback(new Error('3'));
        },
        { code: 0, messages: [1] },
      ],
      [
        'calls back with an error, then with an answer',
        (_call, callback: any) => {
          callback({ code: 5, message: 'none' });
          callback(null, 2);
        },
        { code: 5, details: 'none', messages: [] },
      ],
      [
        'calls back with no error',
        (_call, callback: any) => callback('oops'),
        { code: 2, details: 'internal error' },
      ],
      [
        'calls back with an error that has no status',
        (_call, callback: any) => callback(new Error('/etc/secret')),
        { code: 2, details: 'internal error' },
      ],
      [
        'calls back with what throws when it is looked at',
        (_call, callback: any) => callback(hostile),
        { code: 2 },
      ],
      [
        'calls back with the code 0',
        (_call, callback: any) => callback({ code: 0, details: 'fine' }),
        { code: 2 },
      ],
      [
        'calls back with nothing',
        (_call, callback: any) => callback(null),
        { code: 13, details: 'the method has no answer' },
      ],
      [
        'throws',
        () => {
          throw new StatusError(9, 'not now');
        },
        { code: 9, details: 'not now' },
      ],
      [
        'rejects',
        async () => {
          throw new StatusError(9, 'not now');
        },
        { code: 9, details: 'not now' },
      ],
      [
        'answers, then rejects',
        async (_call, callback: any) => {
          callback(null, 1);
          throw new Error('later');
        },
        { code: 0, messages: [1] },
      ],
      [
        'emits an error',
        (call: any) => call.emit('error', { code: 9, details: 'not now' }),
        { code: 9, details: 'not now' },
      ],
      [
        'returns its answer, as a method does',
        ({ request }: any) => ({ request }),
        { code: 13, details: 'the method has no answer' },
      ],
      ['returns a promise of its answer', async () => 5, { code: 13, details: 'the method has no answer' }],
    ];
    for (const [what, handler, expected] of callbacks)
      for (const kind of ['unary', 'clientStream'] as const)
        it(`ends with one status when a handler of ${kind} ${what}`, async () => {
          const { middleware, outcomes } = watcher();
          const wrapped = wrap(handler as never, middleware) as never;
          const server = await start(one => one.addService({ [kind]: service[kind] }, { [kind]: wrapped }));
          expect(await calling(server, kind, [1]).reply).to.deep.include(expected);
          expect(outcomes).to.have.length(1);
        });

    it('sends headers and trailers of a handler that calls back', async () => {
      const handler = (call: any, callback: any) => {
        call.sendMetadata(withUser('header'));
        callback(null, 1, withUser('trailer'));
      };
      const server = await start(one =>
        one.addService({ unary: service.unary }, { unary: wrap(handler as never, quiet) as never }),
      );
      const { header, trailer } = await calling(server, 'unary', [1]).reply;
      expect(header?.get('user')).to.deep.equal(['header']);
      expect(trailer.get('user')).to.deep.equal(['trailer']);
    });

    it('absorbs what a handler says after a cancel, and one that never calls back is only told of it', async () => {
      for (const late of [true, false]) {
        const { middleware, outcomes, reports } = watcher();
        let told = false;
        const handler = (call: any, callback: any) => {
          call.on('cancelled', () => {
            told = true;
            if (late) callback(null, 1);
          });
        };
        const wrapped = wrap(handler as never, middleware) as never;
        const server = await start(one => one.addService({ unary: service.unary }, { unary: wrapped }));
        const { stream, reply } = calling(server, 'unary', [1]);
        await turns(20);
        stream.cancel();
        expect((await reply).code).to.equal(1);
        await until('it is told', () => told);
        expect(outcomes.map(({ code, reason }) => [code, reason])).to.deep.equal([[1, 'cancelled']]);
        expect(reports).to.deep.equal([]);
      }
    });

    it('gives a callback that is not of grpc-js its answer: somebody between wants to see it', async () => {
      const seen: unknown[] = [];
      const { middleware, outcomes } = watcher();
      const inner = wrap(byHand('unary', echo.unary).handler as never, middleware) as any;
      const between = (call: any, callback: any) =>
        inner(call, (error: any, value: any, trailer: any) => {
          seen.push(error?.details ?? value);
          callback(error, value && { between: value }, trailer);
        });
      for (const handler of [between, wrap(between as never, quiet) as never]) {
        const server = await start(one => one.addService({ unary: service.unary }, { unary: handler }));
        expect((await calling(server, 'unary', [1]).reply).messages).to.deep.equal([
          { between: { said: [1] } },
        ]);
      }
      expect(seen).to.deep.equal([{ said: [1] }, { said: [1] }]);
      expect(outcomes.map(({ reason }) => reason)).to.deep.equal(['completed', 'completed']);
    });

    it('may be called by a handler that it wraps, which hands on its call and callback', async () => {
      const { middleware, outcomes } = watcher();
      for (const kind of kinds) {
        const inner = wrap(byHand(kind, echo[kind]).handler as never, middleware) as any;
        const outer = wrap(((...args: unknown[]) => inner(...args)) as never, middleware) as never;
        const server = await start(one => one.addService({ [kind]: service[kind] }, { [kind]: outer }));
        expect((await calling(server, kind, [1]).reply).messages).to.deep.equal([{ said: [1] }]);
      }
      expect(outcomes.map(({ reason }) => reason)).to.deep.equal(Array(8).fill('completed'));
    });

    it('lets a handler loop over its call to the end, or leave it, and answer after that', async () => {
      for (const leave of [false, true]) {
        const handler = async (call: any) => {
          for await (const request of call) {
            call.write(request);
            if (leave) break;
          }
          call.write('after');
          call.end();
        };
        const server = await start(one =>
          one.addService({ bidi: service.bidi }, { bidi: wrap(handler as never, quiet) as never }),
        );
        const { code, messages } = await calling(server, 'bidi', [1, 2]).reply;
        expect({ code, messages }).to.deep.equal({
          code: 0,
          messages: leave ? [1, 'after'] : [1, 2, 'after'],
        });
      }
    });

    it('absorbs a second answer, also while a layer holds what comes next', async () => {
      const handler = (_call: unknown, callback: any) => {
        callback(null, 1);
        callback(null, 2);
      };
      const held: Middleware = () => ({ ready: () => turn() });
      const add = (made: unknown) => (one: { addService(...args: any[]): void }) =>
        one.addService({ unary: service.unary }, { unary: made });
      for (const server of [
        await start(add(wrap(handler as never, quiet, held))),
        await start(add(handler), { interceptors: [interceptor(quiet, held)] }),
      ])
        expect(await calling(server, 'unary', [1]).reply).to.deep.include({ code: 0, messages: [1] });
    });

    it('refuses a generator, which is a method', () => {
      const what = 'Expected `target` to be a handler, not a method that yields, got `counting` (function)';
      expect(() => wrap(async function* counting() {} as never)).to.throw(TypeError, what);
    });

    it('K9 gives handlers the values of their call', async () => {
      const user = key<string>('user');
      const auth: Middleware = call => call.values.set(user, 'ann');
      const handler = (stream: object, callback: any) => callback(null, callOf(stream).values.get(user));
      for (const server of [
        await start(one =>
          one.addService({ unary: service.unary }, { unary: wrap(handler as never, auth) as never }),
        ),
        await start(one => one.addService({ unary: service.unary }, { unary: handler as never }), {
          interceptors: [interceptor(auth)],
        }),
        await start(
          one => one.addService({ unary: service.unary }, { unary: wrap(handler as never) as never }),
          { interceptors: [interceptor(auth)] },
        ),
        await start(one => mount(one, service, { unary: (_request, call) => call.values.get(user) }), {
          interceptors: [interceptor(auth)],
        }),
      ])
        expect((await calling(server, 'unary', [1]).reply).messages).to.deep.equal(['ann']);
    });
  });

  describe('K10 a status', () => {
    it('of one mount passes the others unchanged, for all kinds', async () => {
      for (const kind of kinds)
        for (const code of [2, 5, 13]) {
          const method: AnyMethod = async () => {
            throw new StatusError(code, 'as it is', { metadata: withUser('ann') });
          };
          const { middleware, outcomes } = watcher();
          const server = await start(one => mount(one, service, { [kind]: method }, middleware), {
            interceptors: [interceptor(middleware), interceptor(errors(), middleware)],
          });
          const reply = await calling(server, kind, [1]).reply;
          expect(reply).to.include({ code, details: 'as it is' });
          expect(reply.trailer.get('user')).to.deep.equal(['ann']);
          expect(outcomes.map(outcome => outcome.code)).to.deep.equal([code, code, code]);
        }
    });
  });

  describe('a middleware for streams', () => {
    it('is refused where it is put on a method that answers with one message, by name', () => {
      const what =
        'Expected `batch()` to stand on a method whose response is a stream, and `/spec.Kinds/Unary` answers with one message';
      expect(() => only(service.unary, limits({ maxStreams: 1 }), batch())).to.throw(TypeError, what);
      const unary = produce(() => ({}), batch());
      expect(() => mount({ addService() {} } as never, service, { unary } as never)).to.throw(
        TypeError,
        what,
      );
      const beats = heartbeat({ make: () => ({}) });
      expect(() => only(service.clientStream, beats)).to.throw(TypeError, 'Expected `heartbeat()` to stand');
      expect(only(service.bidi, beats)).to.be.a('function');
    });
  });
});

const refuse = (): never => {
  throw new Error('do not look');
};

/** Throws when it is looked at. */
const hostile = new Proxy({}, { get: refuse, getPrototypeOf: refuse, has: refuse });

function upload(kind: Kind): AnyMethod {
  return async requests => {
    const answer = await echo.clientStream(requests, undefined as never);
    return kind === 'bidi' ? [answer] : answer;
  };
}

async function turns(count: number): Promise<void> {
  for (let done = 0; done < count; done++) await turn();
}

function drained(stream: { once(event: 'drain', listener: () => void): unknown }): Promise<void> {
  return new Promise(resolve => stream.once('drain', resolve));
}

function withUser(name: string): Metadata {
  const metadata = new Metadata();
  metadata.set('user', name);
  return metadata;
}
