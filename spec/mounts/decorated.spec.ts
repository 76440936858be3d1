import { EventEmitter } from 'node:events';
import { expect } from 'chai';
import { configure, wrap } from '../../lib/index.ts';
import { listener } from '../support/errors.ts';
import { type Running, start, stopAll } from '../support/harness.ts';
import { calling, service } from '../support/kinds.ts';

/** What a handler returns that somebody else is to call back. */
const left: Record<string, (run: () => void) => unknown> = {
  'a timer': run => setTimeout(run, 20),
  'an immediate': run => setImmediate(run),
  'an emitter': run => {
    const emitter = new EventEmitter().once('answer', run);
    setImmediate(() => emitter.emit('answer'));
    return emitter;
  },
  'a number': run => Number(setTimeout(run, 20)),
  'a list': run => [setTimeout(run, 20)],
  'an object': run => ({ timer: setTimeout(run, 1) }),
};

/** Decorators that hand on what they are given: none of them has two parameters by its length. */
const decorators: Record<string, (inner: any) => (...args: any[]) => unknown> = {
  'with a rest':
    inner =>
    async (...args) =>
      inner(...args),
  'with a default':
    inner =>
    async (call, callback = () => {}) =>
      inner(call, callback),
  'with `arguments`': inner =>
    async function (this: unknown, _call) {
      // biome-ignore lint/complexity/noArguments: decorators that were compiled for old engines do this
      return inner.apply(this, arguments);
    },
  'that is bound': inner => (async (...args: any[]) => inner(...args)).bind(undefined),
  'that is not async':
    inner =>
    (...args) =>
      inner(...args),
};

class Answer {}

describe('a wrapped handler that calls back behind a decorator', () => {
  afterEach(stopAll);

  const serve = (handler: unknown, graceMs: number, heard = listener()): Promise<Running> =>
    start(one =>
      one.addService(
        { unary: service.unary },
        {
          unary: wrap(handler as never, configure({ cleanupGraceMs: graceMs }), ...heard.middleware) as never,
        },
      ),
    );

  for (const [how, decorate] of Object.entries(decorators)) {
    for (const [what, leave] of Object.entries(left))
      it(`${how} may return ${what}`, async () => {
        const heard = listener();
        const inner = (_call: unknown, callback: any) => leave(() => callback(null, 1));
        const server = await serve(decorate(inner), what === 'an object' ? 1000 : 0, heard);
        expect(await calling(server, 'unary').reply).to.deep.include({ code: 0, messages: [1] });
        expect(heard.errors).to.deep.equal([]);
      });

    it(`${how} is told of when it was a method that returns its answer`, async () => {
      for (const answer of how === 'that is not async' ? [{}] : [{}, new Answer()]) {
        const heard = listener();
        const server = await serve(
          decorate(() => answer),
          20,
          heard,
        );
        const { code, details } = await calling(server, 'unary').reply;
        expect({ code, details }).to.deep.equal({ code: 13, details: 'the method has no answer' });
        expect(heard.errors.map(String)).to.have.length(1);
        expect(String(heard.errors[0])).to.include('got a method that returns its answer');
      }
    });
  }

  it('is told of at once when it has no parameter for a callback', async () => {
    const heard = listener();
    const server = await serve(async ({ request }: any) => ({ request }), 60_000, heard);
    expect((await calling(server, 'unary').reply).code).to.equal(13);
    expect(String(heard.errors[0])).to.include('got a method that returns its answer');
  });

  it('that was called back after that is not told of', async () => {
    const heard = listener();
    const server = await serve(
      async (...[, callback]: any[]) => {
        setImmediate(callback, null, 1);
        return {};
      },
      20,
      heard,
    );
    expect(await calling(server, 'unary').reply).to.deep.include({ code: 0, messages: [1] });
    await new Promise(resolve => setTimeout(resolve, 40));
    expect(heard.errors).to.deep.equal([]);
  });
});
