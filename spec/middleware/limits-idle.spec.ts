import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { wrap } from '../../lib/index.ts';
import { limits } from '../../middleware/limits.ts';
import { mountNames, quiet, start, stopAll, until } from '../support/harness.ts';
import { type AnyMethod, calling, serveKind, service } from '../support/kinds.ts';

const idleTimeoutMs = 100;
const idle = limits({ idleTimeoutMs });

const step = () => new Promise(resolve => setTimeout(resolve, 20));

/** Longer than a call may be idle, the quarter more included. */
async function work(): Promise<void> {
  for (let steps = 0; steps < 12; steps++) await step();
}

describe('limits({ idleTimeoutMs }) of a method that answers once', () => {
  afterEach(stopAll);

  for (const on of mountNames)
    describe(`on ${on}`, () => {
      const ends = async (method: AnyMethod, kind: 'unary' | 'clientStream', requests: unknown[] = [1]) => {
        const server = await serveKind(on, kind, method, [idle]);
        const { messages, reply } = calling(server, kind, requests);
        return { code: (await reply).code, messages };
      };

      it('lets a unary one work', async () => {
        const method = async () => {
          await work();
          return 'done';
        };
        expect(await ends(method, 'unary')).to.deep.equal({ code: status.OK, messages: ['done'] });
      });

      it('lets one work on what its client has sent at once', async () => {
        const method: AnyMethod = async requests => {
          let n = 0;
          for await (const _ of requests) {
            n++;
            await step();
          }
          return n;
        };
        expect(await ends(method, 'clientStream', Array(12).fill(1))).to.deep.equal({
          code: status.OK,
          messages: [12],
        });
      });

      it('lets one work when its client has sent all', async () => {
        const method: AnyMethod = async requests => {
          for await (const _ of requests);
          await work();
          return 'done';
        };
        expect(await ends(method, 'clientStream')).to.deep.equal({ code: status.OK, messages: ['done'] });
      });

      // Of what a handler reads by itself it does not show.
      if (on === 'produce' || on === 'mount')
        it('lets one work on a request while its client may send more', async () => {
          let worked = 0;
          const method: AnyMethod = async requests => {
            for await (const _ of requests) {
              await work();
              worked++;
            }
            return worked;
          };
          const server = await serveKind(on, 'clientStream', method, [idle]);
          const { messages, reply, stream } = calling(server, 'clientStream', [1], { endless: true });
          await until('it worked', () => worked === 1);
          stream.end();
          expect({ code: (await reply).code, messages }).to.deep.equal({ code: status.OK, messages: [1] });
        });

      for (const requests of [[], [1, 2]])
        it(`ends one that waits for its client, after ${requests.length} requests`, async () => {
          const method: AnyMethod = async all => {
            for await (const _ of all);
            return 'done';
          };
          const server = await serveKind(on, 'clientStream', method, [idle]);
          const { reply } = calling(server, 'clientStream', requests, { endless: true });
          const { code, details } = await reply;
          expect({ code, details }).to.deep.equal({
            code: status.UNAVAILABLE,
            details: 'the stream was idle for too long',
          });
        });
    });

  it('lets a wrapped handler work on a request that its loop took', async () => {
    let worked = 0;
    const handler = async (
      stream: AsyncIterable<unknown>,
      callback: (error: null, answer: unknown) => void,
    ) => {
      for await (const _ of stream) {
        await work();
        worked++;
      }
      callback(null, worked);
    };
    const server = await start(server =>
      server.addService(
        { clientStream: service.clientStream },
        { clientStream: wrap(handler as never, quiet, idle) },
      ),
    );
    const { messages, reply, stream } = calling(server, 'clientStream', [1], { endless: true });
    await until('it worked', () => worked === 1);
    stream.write(2);
    await until('it worked again', () => worked === 2);
    stream.end();
    expect({ code: (await reply).code, messages }).to.deep.equal({ code: status.OK, messages: [2] });
    const idles = calling(server, 'clientStream', [], { endless: true });
    expect((await idles.reply).code).to.equal(status.UNAVAILABLE);
  });
});
