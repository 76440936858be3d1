import { AsyncLocalStorage } from 'node:async_hooks';
import { context, trace } from '@opentelemetry/api';
import { expect } from 'chai';
import type { Middleware } from '../../lib/index.ts';
import { batch } from '../../middleware/batch.ts';
import { heartbeat } from '../../middleware/heartbeat.ts';
import { logging } from '../../middleware/logging.ts';
import { tracing } from '../../middleware/tracing.ts';
import { type AnySource, mountNames, serve, stopAll, until } from '../support/harness.ts';
import { type Rig, startOtel } from '../support/otel.ts';

const here = () => trace.getSpan(context.active())?.spanContext().spanId ?? 'none';
const soon = () => new Promise(resolve => setImmediate(resolve));

describe('tracing(): the context', () => {
  let otel: Rig;
  beforeEach(() => {
    otel = startOtel();
  });
  afterEach(async () => {
    await stopAll();
    await otel.stop();
    expect(otel.complaints).to.deep.equal([]);
  });

  /** Looks where it is at every step, and ends as the request says. */
  const looking = (log: string[]): AnySource =>
    async function* ({ size = 1, max = 3, fail = false }) {
      try {
        log.push(here());
        await soon();
        log.push(here());
        for (let num = 0; num < max; num++) {
          yield 'x'.repeat(size);
          log.push(here());
        }
        if (fail) throw new Error('enough');
      } finally {
        log.push(here());
        await soon();
        log.push(here());
      }
    };

  for (const on of mountNames) {
    it(`OT20 is ours at entry, after awaits and yields and in finally, on ${on}`, async () => {
      for (const request of [{}, { fail: true }]) {
        const log: string[] = [];
        await (await serve(on, looking(log), [tracing()])).call(request);
        await until('it is over', () => log.length === 7);
        const id = otel.servers().at(-1)?.spanContext().spanId;
        expect(log).to.deep.equal(Array(7).fill(id));
      }
    });

    it(`O4 is ours where timers of middleware ask, on ${on}`, async () => {
      const log = new Map<string, string>();
      const line = (text: string) => void log.set(text, here());
      const list = [
        tracing(),
        logging({ logger: { debug: line, info: () => {}, warn: line, error: line }, slowMs: 5 }),
        heartbeat({ everyMs: 5, make: () => log.set('heartbeat', here()) && 'beat' }),
        batch({ maxDelayMs: 5, merge: ([first]) => log.set('batch', here()) && first }),
      ];
      const source: AnySource = async function* (_request, { signal }) {
        yield 1;
        await new Promise(resolve => signal.addEventListener('abort', resolve));
      };
      const calling = (await serve(on, source, list)).open();
      await until('all were asked', () => log.size === 3);
      calling.cancel();
      await until('it is over', () => otel.servers().length === 1);
      const id = otel.servers()[0]?.spanContext().spanId;
      expect(Object.fromEntries(log)).to.deep.equal({ heartbeat: id, batch: id, 'stream waits': id });
    });

    it(`OT20 is ours when HTTP/2 makes room again, on ${on}`, async () => {
      const log: string[] = [];
      const calling = (await serve(on, looking(log), [tracing()])).open({ size: 16384, max: 100 });
      calling.stream.once('data', () => {
        calling.stream.pause();
        const foreign = trace.getTracer('client').startSpan('foreign');
        context.with(trace.setSpan(context.active(), foreign), () => {
          setTimeout(() => calling.stream.resume(), 20);
        });
        foreign.end();
      });
      await calling.reply;
      await until('it is over', () => log.length === 104);
      expect(new Set(log)).to.deep.equal(new Set([otel.servers().at(-1)?.spanContext().spanId]));
    });

    it(`OT22 keeps what others keep in theirs, on ${on}`, async () => {
      const store = new AsyncLocalStorage<string>();
      const others: Middleware = () => ({ start: next => store.run('mine', next) });
      const seen: unknown[] = [];
      const source: AnySource = async function* () {
        seen.push(store.getStore());
        yield 1;
        await soon();
        seen.push(store.getStore());
      };
      for (const list of [
        [others, tracing()],
        [tracing(), others],
      ])
        await (await serve(on, source, list)).call();
      expect(seen).to.deep.equal(['mine', 'mine', 'mine', 'mine']);
    });

    it(`OT23 OT24 stays with its own call, on ${on}`, async () => {
      const logs: Record<string, string[]> = { a: [], b: [] };
      const source: AnySource = async function* ({ name }) {
        for (let num = 0; num < 20; num++) {
          logs[name]?.push(here());
          yield num;
          await soon();
        }
      };
      const server = await serve(on, source, [tracing()]);
      await Promise.all([server.call({ name: 'a' }), server.call({ name: 'b' })]);
      expect(here()).to.equal('none');
      const [a, b] = [new Set(logs.a), new Set(logs.b)];
      expect([a.size, b.size]).to.deep.equal([1, 1]);
      expect(new Set([...a, ...b]).size).to.equal(2);
      const log: string[] = [];
      await (await serve(on, looking(log), [])).call();
      expect(new Set(log)).to.deep.equal(new Set(['none']));
    });
  }

  for (const on of ['produce', 'mount'] as const)
    it(`OT20 is ours in finally when the client cancels, on ${on}`, async () => {
      const log: string[] = [];
      const calling = (await serve(on, looking(log), [tracing()])).open({ max: Number.POSITIVE_INFINITY });
      calling.stream.once('data', () => calling.cancel());
      await until('it is over', () => otel.servers().length === 1);
      for (let i = 0; i < 3; i++) await soon();
      expect(new Set(log)).to.deep.equal(new Set([otel.servers()[0]?.spanContext().spanId]));
    });

  it('O4 OT21 is the parent of spans and logs made inside', async () => {
    const tracer = trace.getTracer('application');
    const source: AnySource = async function* () {
      yield 1;
      await soon();
      tracer.startSpan('inside').end();
      otel.loggerProvider.getLogger('application').emit({ body: 'inside' });
      yield 2;
    };
    const layer: Middleware = (_call, next) => ({
      message(message) {
        tracer.startSpan('layer').end();
        next.message(message);
      },
      end: () => tracer.startSpan('end').end(),
    });
    await (await serve('mount', source, [tracing(), layer])).call();
    await until('it is over', () => otel.servers().length === 1);
    const id = otel.servers()[0]?.spanContext().spanId;
    const inner = otel.spans.filter(({ name }) => ['inside', 'layer', 'end'].includes(name));
    expect(inner.map(({ parentSpanContext }) => parentSpanContext?.spanId)).to.deep.equal([id, id, id, id]);
    expect(otel.logs.map(({ spanContext }) => spanContext.spanId)).to.deep.equal([id]);
  });
});
