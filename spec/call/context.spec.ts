import { AsyncLocalStorage } from 'node:async_hooks';
import { expect } from 'chai';
import { type Middleware, wrap } from '../../lib/index.ts';
import {
  type Calling,
  definition,
  type Handler,
  mountNames,
  quiet,
  serve,
  start,
  stopAll,
  until,
} from '../support/harness.ts';

const store = new AsyncLocalStorage<string>();

/** Puts something where the source runs, as tracing does. */
const runs: Middleware = () => ({ start: next => store.run('the call', next) });

const ways: Record<string, (calling: Calling) => void> = {
  'is cancelled': ({ cancel }) => cancel(),
  'runs out of time': () => {},
};

describe('the context in which the source runs', () => {
  afterEach(stopAll);

  for (const on of mountNames)
    for (const [way, leave] of Object.entries(ways))
      it(`is there for whatever hears that the call ${way}, on ${on}`, async () => {
        const seen: Record<string, unknown> = {};
        const see = (where: string) => {
          seen[where] = store.getStore();
        };
        const outer: Middleware = call => {
          call.signal.addEventListener('abort', () => see('signal'));
          return { end: () => see('outer end') };
        };
        const inner: Middleware = () => ({ end: () => see('inner end') });
        let arrived = false;
        const running = await serve(
          on,
          async function* () {
            arrived = true;
            yield 1;
            try {
              for (;;) {
                await new Promise(resolve => setImmediate(resolve));
                yield 2;
              }
            } finally {
              see('finally');
            }
          },
          [outer, runs, inner],
        );
        const calling = running.open({}, { deadline: Date.now() + (way === 'is cancelled' ? 10_000 : 200) });
        await until('the source runs', () => arrived);
        leave(calling);
        await calling.reply;
        await until('all have heard', () => Object.keys(seen).length === 4);
        expect(new Set(Object.values(seen))).to.deep.equal(new Set(['the call']));
      });

  it("is there for a handler's `cancelled`", async () => {
    const seen: unknown[] = [];
    const handler: Handler = call => {
      call.write(1);
      call.on('cancelled', () => seen.push(store.getStore()));
    };
    const { open } = await start(server =>
      server.addService(definition, { stream: wrap(handler, quiet, runs) }),
    );
    const { stream, cancel, reply } = open();
    stream.once('data', cancel);
    await reply;
    await until('the handler has heard', () => seen.length > 0);
    expect(seen).to.deep.equal(['the call']);
  });
});
