import { PassThrough, Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { expect } from 'chai';
import { callOf, drain, StatusError, wrap } from '../../lib/index.ts';
import { quiet, start, stopAll, turn, until } from '../support/harness.ts';
import { calling, service } from '../support/kinds.ts';

type Handler = (stream: any, callback?: any) => unknown;

const serve = (kind: 'clientStream' | 'bidi', handler: Handler) =>
  start(one => one.addService({ [kind]: service[kind] }, { [kind]: wrap(handler as never, quiet) as never }));

describe('what a wrapped handler reads', () => {
  afterEach(stopAll);

  for (const kind of ['clientStream', 'bidi'] as const)
    describe(`of ${kind}`, () => {
      const answer = (stream: any, callback: any, message: unknown) => {
        if (callback) return callback(null, message);
        stream.write(message);
        stream.end();
      };

      it('throws the reason of a drain at a loop that waits, once all that came was read', async () => {
        const log: unknown[] = [];
        const server = await serve(kind, async stream => {
          try {
            for await (const request of stream) log.push(request);
            log.push('complete');
          } catch (error) {
            log.push(String(error), error === callOf(stream).signal.reason);
            throw error;
          }
        });
        const { reply } = calling(server, kind, [1, 2], { endless: true });
        await until('it has read', () => log.includes(2));
        const started = performance.now();
        await drain(server.server, { graceMs: 5000 });
        expect(performance.now() - started).to.be.lessThan(4000);
        const { code, details } = await reply;
        expect({ code, details }).to.deep.equal({ code: 14, details: 'the server is shutting down' });
        expect(log).to.deep.equal([1, 2, 'StatusError: [UNAVAILABLE] the server is shutting down', true]);
      });

      it('lets a handler that was woken answer in its own way', async () => {
        let waits = false;
        const server = await serve(kind, async (stream, callback) => {
          let count = 0;
          try {
            for await (const _ of stream) {
              count += 1;
              waits = true;
            }
          } catch {
            answer(stream, callback, { count });
          }
        });
        const { reply } = calling(server, kind, [1], { endless: true });
        await until('it waits', () => waits);
        await drain(server.server, { graceMs: 5000 });
        const { code, messages } = await reply;
        expect(messages).to.deep.equal([{ count: 1 }]);
        expect(code).to.be.oneOf([0, 14]);
      });

      it('gives a loop that begins anew after a drain what comes, and no request is lost', async () => {
        const log: unknown[] = [];
        const server = await serve(kind, async (stream, callback) => {
          const read = async () => {
            try {
              for await (const request of stream) log.push(request);
              log.push('complete');
              return true;
            } catch {
              log.push('woken');
              return false;
            }
          };
          while (!(await read())) for (let turns = 0; turns < 5; turns++) await turn();
          answer(stream, callback, {});
        });
        const { stream, reply } = calling(server, kind, [1], { endless: true });
        await until('it has read', () => log.includes(1));
        const drained = drain(server.server, { graceMs: 5000 });
        await until('it was woken', () => log.includes('woken'));
        stream.write(2);
        stream.write(3);
        await until('it has read on', () => log.includes(3));
        stream.end();
        await until('it is complete', () => log.includes('complete'));
        await reply;
        await drained;
        expect(log.filter(one => one !== 'woken')).to.deep.equal([1, 2, 3, 'complete']);
      });

      it('is read by several at once, each request by one of them', async () => {
        const server = await serve(kind, async (stream, callback) => {
          const reader = stream[Symbol.asyncIterator]();
          const steps = await Promise.all([reader.next(), reader.next(), reader.next()]);
          answer(
            stream,
            callback,
            steps.map(({ value = 'end' }) => value),
          );
        });
        const { messages } = await calling(server, kind, [1, 2]).reply;
        expect(messages).to.deep.equal([[1, 2, 'end']]);
      });
    });
});

/** Ways in which a handler reads no more; each rejects, or comes to its end, when it does. */
const ends: Record<string, (stream: any) => Promise<unknown>> = {
  'destroy()': async stream => void stream.destroy(),
  'destroy(error)': async stream => {
    stream.destroy(new Error('destroyed'));
    await new Promise(resolve => stream.once('close', resolve));
  },
  'a loop over iterator() that is left': async stream => {
    for await (const _ of stream.iterator()) break;
  },
  'a loop over iterator() that throws': async stream => {
    for await (const _ of stream.iterator()) throw new Error('row 1 is bad');
  },
  'a loop over a copy that throws': async stream => {
    for await (const _ of Readable.from(stream)) throw new Error('row 1 is bad');
  },
  'a pipeline whose sink throws': stream =>
    pipeline(stream, async (requests: AsyncIterable<unknown>) => {
      for await (const _ of requests) throw new Error('row 1 is bad');
    }),
  'a pipeline whose transform fails': stream =>
    pipeline(
      stream,
      new Transform({ objectMode: true, transform: (_row, _encoding, done) => done(new Error('bad')) }),
      new PassThrough({ objectMode: true }),
    ),
  'a pipeline that is stopped': stream => {
    const stopping = new AbortController();
    stream.once('data', () => stopping.abort());
    return pipeline(stream, new PassThrough({ objectMode: true }).resume(), { signal: stopping.signal });
  },
};

/** How a handler that calls back goes on after that. */
const answers: Record<string, Handler> = {
  'with a status': (_stream, callback) => callback({ code: 3, details: 'row 1 is bad' }),
  'with a message': (_stream, callback) => callback(null, { rows: 1 }),
  'with the status that it emits once more': stream =>
    void stream.emit('error', { code: 3, details: 'row 1 is bad' }),
};

describe('a wrapped handler that reads no more', () => {
  afterEach(stopAll);

  for (const [way, end] of Object.entries(ends))
    for (const [how, answer] of Object.entries(answers))
      it(`answers ${how} after ${way}`, async () => {
        const handler: Handler = (stream, callback) => {
          const then = () => void answer(stream, callback);
          end(stream).then(then, then);
        };
        // On a stream that was destroyed, grpc-js itself sends nothing that is emitted.
        const mounts =
          answer.length < 2 ? [wrap(handler as never, quiet)] : [handler, wrap(handler as never, quiet)];
        for (const mounted of mounts) {
          const server = await start(one =>
            one.addService({ clientStream: service.clientStream }, { clientStream: mounted as never }),
          );
          const { code, details, messages } = await calling(server, 'clientStream', [1, 2, 3]).reply;
          expect({ code, details, messages }).to.deep.equal(
            how === 'with a message'
              ? { code: 0, details: 'OK', messages: [{ rows: 1 }] }
              : { code: 3, details: 'row 1 is bad', messages: [] },
          );
        }
      });

  it('may reject after that, and that is its status', async () => {
    const server = await serve('clientStream', async stream => {
      stream.destroy();
      throw new StatusError(3, 'row 1 is bad');
    });
    const { code, details } = await calling(server, 'clientStream', [1]).reply;
    expect({ code, details }).to.deep.equal({ code: 3, details: 'row 1 is bad' });
  });

  it('fails with what it destroyed a call with that it writes to: there is no other answer', async () => {
    const server = await serve('bidi', stream => stream.destroy(new StatusError(3, 'row 1 is bad')));
    const { code, details } = await calling(server, 'bidi', [1]).reply;
    expect({ code, details }).to.deep.equal({ code: 3, details: 'row 1 is bad' });
  });
});
