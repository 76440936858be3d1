import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { drain, type Middleware } from '../lib/index.ts';
import { batch } from '../middleware/batch.ts';
import { type AnySource, mountNames, serve, stopAll, turn, until } from './support/harness.ts';

/** Four ways to be open: waiting, with a client that does not read, sending, and silent. */
const sources: Record<string, AnySource> = {
  async *parked(_request, { signal }) {
    yield 'first';
    await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  },
  async *stalled() {
    for (;;) yield 'x'.repeat(10_000);
  },
  async *busy() {
    for (;;) {
      yield 'busy';
      await turn();
    }
  },
  async *idle(_request, { signal }) {
    yield 'first';
    await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()));
  },
};

/** The promise is made for 1,000 streams and a grace of 2 s. */
const streams = Number(process.env.LEAT_STREAMS ?? 100);
const graceMs = Number(process.env.LEAT_GRACE_MS ?? 200);

const anyOf: AnySource = (request, call) => (sources[request.way] as AnySource)(request, call);

describe('drain()', () => {
  afterEach(stopAll);

  it('R11 L1 L4 ends streams of every kind within its grace, and tells every client that reads why', async () => {
    const server = await serve('mount', anyOf);
    const ways = Object.keys(sources);
    const calls = Array.from({ length: streams }, (_, i) => {
      const way = ways[i % ways.length] as string;
      const calling = server.open({ way }, { paused: way === 'stalled' });
      const begun = new Promise(resolve => calling.stream.once('data', resolve));
      if (way === 'stalled') calling.stream.once('data', () => calling.stream.pause());
      return { way, calling, begun };
    });
    await Promise.all(calls.map(({ begun }) => begun));
    const started = performance.now();
    const first = drain(server.server, { graceMs });
    expect(drain(server.server)).to.equal(first);
    await first;
    const tookMs = performance.now() - started;
    if (process.env.LEAT_STREAMS) console.log(`drained ${streams} streams in ${Math.round(tookMs)} ms`);
    // How long it takes is measured with LEAT_STREAMS; here it only has to end.
    expect(tookMs).to.be.below(graceMs + 5000);
    for (const { way, calling } of calls) {
      calling.stream.resume();
      const { code, details } = await calling.reply;
      expect({ way, code }).to.deep.equal({ way, code: status.UNAVAILABLE });
      // Behind data that the connection has no room for no words get through, only the reset.
      if (way === 'parked' || way === 'idle') expect(details).to.equal('the server is shutting down');
    }
  });

  for (const on of mountNames)
    it(`L2 L3 refuses new streams and tells sources why, on ${on}`, async () => {
      const seen: unknown[] = [];
      const spy: Middleware = call => {
        call.signal.addEventListener('abort', () => seen.push(call.signal.reason.code));
        return { end: ({ reason }) => void seen.push(reason) };
      };
      const server = await serve(on, sources.busy as AnySource, [spy]);
      const calling = server.open();
      await new Promise(resolve => calling.stream.once('data', resolve));
      const drained = drain(server.server, { graceMs: 100, retryMs: 7 });
      expect(seen).to.deep.equal([status.UNAVAILABLE]);
      const refused = await server.call();
      expect(refused.code).to.equal(status.UNAVAILABLE);
      expect((await calling.reply).trailer.get('grpc-retry-pushback-ms')).to.deep.equal(['7']);
      await drained;
      await until('both have ended', () => seen.filter(one => one === 'drain').length === 2);
    });

  it('lets a stream finish that never looked at its signal', async () => {
    const server = await serve('produce', async function* () {
      for (let i = 0; i < 20; i++) {
        yield i;
        await turn();
      }
    });
    const calling = server.open();
    await new Promise(resolve => calling.stream.once('data', resolve));
    const drained = drain(server.server, { graceMs: 5000 });
    const { code, messages } = await calling.reply;
    expect({ code, count: messages.length }).to.deep.equal({ code: status.OK, count: 20 });
    await drained;
  });

  it('L7 sends what a batch holds before the status', async () => {
    let begun = false;
    const spy: Middleware = (_call, next) => ({
      message(message) {
        begun = true;
        next.message(message);
      },
    });
    const held = batch({ maxItems: 100, maxDelayMs: 60_000 });
    const server = await serve('mount', sources.idle as AnySource, [held, spy]);
    const calling = server.open();
    await until('the batch holds a message', () => begun);
    await drain(server.server, { graceMs: 1000 });
    const { code, messages } = await calling.reply;
    expect({ code, messages }).to.deep.equal({ code: status.UNAVAILABLE, messages: ['first'] });
  });
});
