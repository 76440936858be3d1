import { type handleUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { retryHint } from '../../lib/client/retry-hint.ts';
import { drain, interceptor, type Middleware, mount, produce, wrap } from '../../lib/index.ts';
import { batch } from '../../middleware/batch.ts';
import {
  type AnySource,
  type Calling,
  deferred,
  definition,
  handWritten,
  type MountName,
  mountNames,
  quiet,
  type Running,
  serve,
  start,
  stopAll,
  turn,
  until,
} from '../support/harness.ts';
import { anyOf, ways } from '../support/ways.ts';

/** The promise is made for 1,000 streams and a grace of 2 s. */
const streams = Number(process.env.LEAT_STREAMS ?? 100);
const graceMs = Number(process.env.LEAT_GRACE_MS ?? 200);

const opened = ({ stream }: Calling) => new Promise(resolve => stream.once('data', resolve));

type Unary = handleUnaryCall<unknown, string>;

const ask = { ...definition.stream, path: '/spec.Service/Ask', responseStream: false } as const;
const service = { ...definition, ask };

/** A source and a unary handler, side by side. */
const serveBoth: Record<MountName, (stream: AnySource, ask: Unary) => Promise<Running>> = {
  produce: (stream, ask) =>
    start(server => server.addService(service, { stream: produce(stream, quiet), ask })),
  wrap(source, ask) {
    const { handler: stream, tap } = handWritten(source);
    return start(server => server.addService(service, wrap({ stream, ask }, quiet, tap)));
  },
  mount: (stream, ask) => start(server => mount(server, service, { stream, ask: wrap(ask) }, quiet)),
  interceptor(source, ask) {
    const { handler: stream, tap } = handWritten(source);
    const interceptors = [interceptor(quiet, tap)];
    return start(server => server.addService(service, { stream, ask }), { interceptors });
  },
};

function askOf({ client }: Running): Promise<unknown> {
  const { path, requestSerialize, responseDeserialize } = ask;
  return new Promise(resolve => {
    const callback = (error: unknown, answer: unknown) => resolve(error ?? answer);
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, {}, callback);
  });
}

describe('drain()', () => {
  afterEach(stopAll);

  it('R11 L1 L4 ends streams of every kind within its grace, and tells every client that reads why', async () => {
    const server = await serve('mount', anyOf);
    const names = Object.keys(ways);
    const calls = Array.from({ length: streams }, (_, i) => {
      const way = names[i % names.length] as string;
      const calling = server.open({ way }, { paused: way === 'stalled' });
      const first = opened(calling);
      if (way === 'stalled') calling.stream.once('data', () => calling.stream.pause());
      return { way, calling, first };
    });
    await Promise.all(calls.map(({ first }) => first));
    const started = performance.now();
    const drained = drain(server.server, { graceMs });
    expect(drain(server.server)).to.equal(drained);
    await drained;
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
      const server = await serve(on, ways.busy, [spy]);
      const calling = server.open();
      await opened(calling);
      const drained = drain(server.server, { graceMs: 100, retryMs: 7 });
      expect(seen).to.deep.equal([status.UNAVAILABLE]);
      const refused = await server.call();
      expect(refused.code).to.equal(status.UNAVAILABLE);
      expect((await calling.reply).trailer.get('grpc-retry-pushback-ms')).to.deep.equal(['7']);
      await drained;
      await until('both have ended', () => seen.filter(one => one === 'drain').length === 2);
    });

  it('sends `retryMs` as whole milliseconds, rounded up, as clients read it', async () => {
    const server = await serve('mount', ways.parked);
    const calling = server.open();
    await opened(calling);
    const drained = drain(server.server, { graceMs: 0, retryMs: 1500.15 });
    const { trailer } = await calling.reply;
    expect(trailer.get('grpc-retry-pushback-ms')).to.deep.equal(['1501']);
    expect(retryHint(trailer)).to.equal(1501);
    await drained;
  });

  it('lets a stream finish that never looked at its signal', async () => {
    const server = await serve('produce', async function* () {
      for (let i = 0; i < 20; i++) {
        yield i;
        await turn();
      }
    });
    const calling = server.open();
    await opened(calling);
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
    const server = await serve('mount', ways.idle, [held, spy]);
    const calling = server.open();
    await until('the batch holds a message', () => begun);
    await drain(server.server, { graceMs: 1000 });
    const { code, messages } = await calling.reply;
    expect({ code, messages }).to.deep.equal({ code: status.UNAVAILABLE, messages: ['first'] });
  });

  it('L7 lets a client take what a batch held until the end of its source', async () => {
    const block = 'x'.repeat(30_000);
    const held = batch({ maxItems: 1000, maxDelayMs: 60_000 });
    let ended = false;
    const ends: Middleware = () => ({
      end: () => {
        ended = true;
      },
    });
    const server = await serve('mount', () => Array(60).fill(block), [ends, held]);
    const calling = server.open({}, { paused: true });
    const messages: unknown[] = [];
    calling.stream.once('data', first => {
      messages.push(first);
      calling.stream.pause();
    });
    await until('the source has ended, and its client reads no more', () => ended && messages.length === 1);
    const drained = drain(server.server, { graceMs: 10_000 });
    calling.stream.on('data', message => messages.push(message));
    calling.stream.pause();
    await new Promise(resolve => setTimeout(resolve, 150));
    calling.stream.resume();
    expect((await calling.reply).code).to.equal(status.OK);
    expect(messages).to.have.length(60);
    await drained;
  });

  for (const on of mountNames)
    it(`L5 answers unary calls while streams finish, those that come then as well, on ${on}`, async () => {
      const finish = deferred();
      const asked: sendUnaryData<string>[] = [];
      const server = await serveBoth[on](
        async function* () {
          yield 'first';
          await finish.promise;
        },
        (_call, callback) => void asked.push(callback),
      );
      const calling = server.open();
      await opened(calling);
      const before = askOf(server);
      await until('it was asked before the drain', () => asked.length === 1);
      const drained = drain(server.server, { graceMs: 5000 });
      const during = askOf(server);
      await until('it was asked during the drain', () => asked.length === 2);
      asked.forEach((answer, index) => void answer(null, `answer ${index}`));
      expect(await Promise.all([before, during])).to.deep.equal(['answer 0', 'answer 1']);
      finish.resolve();
      expect((await calling.reply).code).to.equal(status.OK);
      await drained;
    });

  it('L5 gives a unary call the whole grace, also when no stream is left', async () => {
    const asked: sendUnaryData<string>[] = [];
    const server = await serveBoth.mount(anyOf, (_call, callback) => void asked.push(callback));
    const answer = askOf(server);
    await until('it was asked', () => asked.length === 1);
    let over = false;
    const drained = drain(server.server, { graceMs: 5000 }).then(() => {
      over = true;
    });
    await new Promise(resolve => setTimeout(resolve, 150));
    expect(over).to.equal(false);
    asked[0]?.(null, 'late');
    expect(await answer).to.equal('late');
    await drained;
  });
});
