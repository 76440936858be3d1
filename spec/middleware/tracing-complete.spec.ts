import { Metadata } from '@grpc/grpc-js';
import { context, metrics as metricsApi, propagation, trace } from '@opentelemetry/api';
import { expect } from 'chai';
import type { Middleware } from '../../lib/index.ts';
import { metrics } from '../../middleware/metrics.ts';
import { tracing } from '../../middleware/tracing.ts';
import { type AnySource, serve, stopAll, until } from '../support/harness.ts';
import { startOtel } from '../support/otel.ts';
import { runCalls } from '../support/otel-complete.ts';

const CALLS = Number(process.env.LEAT_CALLS ?? 1000);

describe('tracing() and metrics(), for long', () => {
  afterEach(stopAll);

  it(`O1 O5 OT13 R13 end what they start, whatever ends ${CALLS} calls`, async () => {
    const { active, byReason, calls, complaints, ended, started, wrong } = await runCalls(CALLS);
    expect({ calls, ended, started }).to.deep.equal({ calls: CALLS, ended: CALLS, started: CALLS });
    expect([wrong, complaints, active]).to.deep.equal([[], [], 0]);
    expect(Object.keys(byReason)).to.have.length(7);
  }).timeout(60_000);

  it('OT13 keep nothing of calls that are over', async () => {
    const otel = startOtel();
    const server = await serve('mount', () => [1, 2, 3], [tracing(), metrics()]);
    const heap = async (calls: number) => {
      for (let num = 0; num < calls; num += 50)
        await Promise.all(Array.from({ length: 50 }, () => server.call()));
      await until('all are over', () => otel.spans.length === calls);
      otel.spans.length = 0;
      for (let i = 0; i < 3; i++) {
        await new Promise(resolve => setTimeout(resolve, 5));
        globalThis.gc?.();
      }
      return process.memoryUsage().heapUsed;
    };
    await heap(1000);
    const before = await heap(500);
    const grown = (await heap(2000)) - before;
    await otel.stop();
    expect(grown / 2000).to.be.below(500);
  }).timeout(60_000);

  it('OT14 O5 a million messages are no events, and a small span', async () => {
    const otel = startOtel();
    const source: AnySource = function* () {
      for (let num = 0; num < 1_000_000; num++) yield 1;
    };
    const server = await serve('mount', source, [tracing(), metrics()]);
    const calling = server.open({}, { paused: true });
    let received = 0;
    calling.stream.on('data', () => {
      received += 1;
    });
    await calling.reply;
    await until('it is over', () => otel.spans.length === 1);
    const { attributes, events, links } = otel.spans[0] ?? {};
    await otel.stop();
    expect(received).to.equal(1_000_000);
    expect(attributes).to.include({
      'leat.stream.message.count': 1_000_000,
      'leat.stream.size': 1_000_000,
    });
    expect([events, links]).to.deep.equal([[], []]);
    expect(JSON.stringify(attributes).length).to.be.below(2000);
    expect(otel.complaints).to.deep.equal([]);
  }).timeout(60_000);

  it('OT41 do nothing per message', async () => {
    const otel = startOtel();
    const calls: Record<string, number> = {};
    const spy = <T extends object>(target: T, prefix: string): T =>
      new Proxy(target, {
        get(from: any, key) {
          const value = from[key];
          if (typeof value !== 'function') return value;
          return (...args: unknown[]) => {
            const name = `${prefix}.${String(key)}`;
            calls[name] = (calls[name] ?? 0) + 1;
            const made = value.apply(from, args);
            const deeper = /\.(startSpan|getTracer|getMeter|create\w+)$/.test(name);
            return deeper ? spy(made, name) : made;
          };
        },
      });
    const run = async (max: number) => {
      for (const key of Object.keys(calls)) delete calls[key];
      const before = otel.spans.length;
      const list = [
        tracing({ tracerProvider: spy(otel.tracerProvider, 'trace') }),
        metrics({ meterProvider: spy(otel.meterProvider, 'metrics') }),
      ];
      await (await serve('mount', ({ max }) => Array(max).fill(1), list)).call({ max });
      await until('it is over', () => otel.spans.length > before);
      return { ...calls };
    };
    const { with: original } = context;
    context.with = ((...args: unknown[]) => {
      calls['context.with'] = (calls['context.with'] ?? 0) + 1;
      return Reflect.apply(original, context, args);
    }) as typeof original;
    const few = await run(2);
    const many = await run(20_000);
    context.with = original;
    await otel.stop();
    expect(few['context.with']).to.equal(1);
    expect(many).to.deep.equal(few);
  });

  it('OT40 do nothing without an SDK', async () => {
    trace.disable();
    metricsApi.disable();
    let counted: unknown;
    const look = (call: object) => ({
      end() {
        ({ counted } = call as { counted?: unknown });
      },
    });
    const list = [tracing({ segmentMs: 1000, progress: { intervalMs: 1000 } }), metrics({ a66: true }), look];
    const { code, messages } = await (await serve('mount', () => [1, 2], list)).call();
    expect([code, messages, counted]).to.deep.equal([0, [1, 2], undefined]);
  });

  it('OT40 have no layer without an SDK, and one from when there is', async () => {
    trace.disable();
    metricsApi.disable();
    const [spans, measured] = [tracing(), metrics()];
    const layers: unknown[] = [];
    const look: Middleware = (call, next) => {
      layers.push(spans(call, next), measured(call, next));
      return undefined;
    };
    const server = await serve('mount', () => [1], [look]);
    await server.call();
    expect(layers).to.deep.equal([undefined, undefined]);
    const otel = startOtel();
    await server.call();
    await otel.stop();
    expect(layers.slice(2)).to.have.length(2).and.not.include(undefined);
  });

  it('OT40 hand the parent on without an SDK, where there is a propagator', async () => {
    trace.disable();
    const otel = startOtel();
    trace.disable();
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const source: AnySource = () => {
      const carrier: Record<string, string> = {};
      propagation.inject(context.active(), carrier);
      return [carrier.traceparent];
    };
    const given = new Metadata();
    given.set('traceparent', traceparent);
    const { messages } = await (await serve('mount', source, [tracing()])).call({}, { metadata: given });
    await otel.stop();
    expect(messages).to.deep.equal([traceparent]);
  });
});
