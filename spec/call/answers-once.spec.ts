import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { live } from '../../lib/call/live.ts';
import {
  callOf,
  compose,
  configure,
  drain,
  interceptor,
  type Middleware,
  type Outcome,
  only,
  wrap,
} from '../../lib/index.ts';
import { limits } from '../../middleware/limits.ts';
import { within } from '../support/answered.ts';
import { deferred, mountNames, quiet, start, stopAll, turn, until } from '../support/harness.ts';
import { calling, serveKind, service } from '../support/kinds.ts';

const OK: Outcome = { code: status.OK, details: 'OK', reason: 'completed' };

function reporting(): { reports: unknown[]; outcomes: Outcome[]; middleware: Middleware } {
  const reports: unknown[] = [];
  const outcomes: Outcome[] = [];
  const loud = configure({ onError: error => reports.push(error) });
  return {
    reports,
    outcomes,
    middleware(call, next) {
      void loud(call, next);
      return { end: outcome => void outcomes.push(outcome) };
    },
  };
}

const looks: Middleware = async call => {
  call.signal.throwIfAborted();
};

describe('a call that is answered once', () => {
  afterEach(stopAll);

  describe('while its server is drained', () => {
    for (const on of mountNames)
      it(`ends OK with the answer of an upload that looked at its signal, on ${on}`, async () => {
        const work = deferred();
        let read = false;
        const server = await serveKind(on, 'clientStream', async (requests, call) => {
          let n = 0;
          for await (const _ of requests) n++;
          const { signal } = call;
          read = !signal.aborted;
          await work.promise;
          return { n, aborted: signal.aborted };
        });
        const { messages, reply } = calling(server, 'clientStream', [1, 2, 3]);
        await until('all was read', () => read);
        const drained = drain(server.server, { graceMs: 5000 });
        work.resolve();
        expect({ code: (await reply).code, messages }).to.deep.equal({
          code: status.OK,
          messages: [{ n: 3, aborted: true }],
        });
        await drained;
      });

    for (const on of ['wrap', 'interceptor'] as const)
      it(`ends OK when its handler looked by \`callOf\`, on ${on}`, async () => {
        const work = deferred();
        let read = false;
        const handler = (stream: any, callback: any) => {
          const { signal } = callOf(stream);
          stream.on('data', () => {});
          stream.on('end', async () => {
            read = true;
            await work.promise;
            callback(null, { aborted: signal.aborted });
          });
        };
        const definition = { clientStream: service.clientStream };
        const server = await (on === 'wrap'
          ? start(one => one.addService(definition, { clientStream: wrap(handler as never, quiet) }))
          : start(one => one.addService(definition, { clientStream: handler }), {
              interceptors: [interceptor(quiet)],
            }));
        const { messages, reply } = calling(server, 'clientStream', [1]);
        await until('all was read', () => read);
        const drained = drain(server.server, { graceMs: 5000 });
        work.resolve();
        expect({ code: (await reply).code, messages }).to.deep.equal({
          code: status.OK,
          messages: [{ aborted: true }],
        });
        await drained;
      });

    for (const on of mountNames)
      it(`says that a finite stream is complete when only a middleware looked, on ${on}`, async () => {
        const work = deferred();
        const server = await serveKind(
          on,
          'serverStream',
          async function* () {
            yield 1;
            await work.promise;
            yield 2;
          },
          [looks],
        );
        const { messages, reply } = calling(server, 'serverStream');
        await until('it streams', () => messages.length === 1);
        const drained = drain(server.server, { graceMs: 5000 });
        work.resolve();
        expect({ code: (await reply).code, messages }).to.deep.equal({ code: status.OK, messages: [1, 2] });
        await drained;
      });
  });

  for (const on of ['wrap', 'interceptor'] as const)
    for (const kind of ['unary', 'clientStream'] as const)
      it(`ends ${kind} with the first message of a handler that writes and then calls back, on ${on}`, async () => {
        const { reports, middleware } = reporting();
        const handler = (stream: any, callback: any) => {
          stream.on('data', () => {});
          stream.write('written');
          stream.write('written again');
          callback(null, 'called back');
        };
        const definition = { [kind]: service[kind] };
        const server = await (on === 'wrap'
          ? start(one => one.addService(definition, { [kind]: wrap(handler as never, middleware) }))
          : start(one => one.addService(definition, { [kind]: handler }), {
              interceptors: [interceptor(middleware)],
            }));
        const { messages, reply } = calling(server, kind, [1]);
        const { code } = await within(3000, 'the call hangs', reply);
        expect({ code, messages }).to.deep.equal({ code: status.OK, messages: ['written'] });
        const told = [
          `TypeError: Expected one message to answer ${service[kind].path}, got another one, which is not sent`,
        ];
        expect(reports.map(String)).to.deep.equal(told);
        expect([...live]).to.deep.equal([]);
      });

  const layers: Record<string, Middleware> = {
    'keeps its message': () => ({ message() {} }),
    'keeps its message within a list': compose(
      () => ({}),
      only(
        () => true,
        () => ({ message() {} }),
      ),
    ),
    'hands its message on too late': (_call, next) => ({
      async message(message) {
        await turn();
        next.message(message);
      },
    }),
    'ends it OK while it is made': call => call.end(OK),
    'ends it OK before it starts': call => ({ start: () => call.end(OK) }),
    'turns a failure to OK': () => ({
      message: () => {
        throw new Error('no');
      },
      end: () => OK,
    }),
  };

  for (const on of mountNames)
    for (const kind of ['unary', 'clientStream'] as const)
      describe(`${kind} on ${on}`, () => {
        for (const [name, layer] of Object.entries(layers))
          it(`K1 ends INTERNAL, for all who hear of it, when a layer ${name}`, async () => {
            const { reports, outcomes, middleware } = reporting();
            const server = await serveKind(on, kind, () => ({ a: 1 }), [middleware, layer]);
            const { messages, reply } = calling(server, kind, [1]);
            const { code, details } = await within(3000, 'the call hangs', reply);
            expect({ code, details, messages }).to.deep.equal({
              ...{ code: status.INTERNAL, details: 'the method has no answer', messages: [] },
            });
            expect(outcomes.map(one => one.code)).to.deep.equal([status.INTERNAL]);
            expect(
              reports.filter(one => /^TypeError: Expected one message .*, got none/.test(String(one))),
            ).to.have.length(1);
          });

        it('M2 sends the first of two messages, and tells once that there are more', async () => {
          const { reports, outcomes, middleware } = reporting();
          const twice: Middleware = (_call, next) => ({
            message(message) {
              for (let i = 0; i < 3; i++) next.message(message);
            },
          });
          const server = await serveKind(on, kind, () => ({ a: 1 }), [middleware, twice]);
          const { messages, reply } = calling(server, kind, [1]);
          const { code } = await within(3000, 'the call hangs', reply);
          expect({ code, messages }).to.deep.equal({ code: status.OK, messages: [{ a: 1 }] });
          expect(outcomes.map(one => one.code)).to.deep.equal([status.OK]);
          expect(reports.map(String)).to.deep.equal([
            `TypeError: Expected one message to answer ${service[kind].path}, got another one, which is not sent`,
          ]);
        });

        it('is answered by a layer, when it is made, starts or hears of the end', async () => {
          const answers: Middleware[] = [
            (call, next) => {
              next.message('cached');
              call.end(OK);
            },
            (call, next) => ({
              start() {
                next.message('cached');
                call.end(OK);
              },
            }),
            (_call, next) => ({
              message() {},
              end: () => next.message('cached'),
            }),
            (_call, next) => ({
              message() {
                throw new Error('no');
              },
              end() {
                next.message('cached');
                return OK;
              },
            }),
          ];
          for (const answer of answers) {
            const { reports, middleware } = reporting();
            const server = await serveKind(on, kind, () => ({ a: 1 }), [middleware, answer]);
            const { messages, reply } = calling(server, kind, [1]);
            expect({ code: (await reply).code, messages }).to.deep.equal({
              code: status.OK,
              messages: ['cached'],
            });
            expect(reports).to.deep.equal([]);
          }
        });

        it('has its only answer at once, whatever the rate', async () => {
          const server = await serveKind(on, kind, () => ({ a: 1 }), [
            limits({ maxMessagesPerSecond: 0.001, maxBytesPerSecond: 0.001 }),
          ]);
          const { messages, reply } = calling(server, kind, [1]);
          const { code } = await within(3000, 'the rate holds its end', reply);
          expect({ code, messages }).to.deep.equal({ code: status.OK, messages: [{ a: 1 }] });
        });
      });
});
