import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { callOf, drain, interceptor, type Middleware, wrap } from '../../lib/index.ts';
import { deferred, mountNames, quiet, start, stopAll, until } from '../support/harness.ts';
import { calling, serveKind, service } from '../support/kinds.ts';

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
});
