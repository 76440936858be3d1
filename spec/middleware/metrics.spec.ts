import {
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptor,
  ServerListenerBuilder,
  status,
} from '@grpc/grpc-js';
import { metrics as api } from '@opentelemetry/api';
import { expect } from 'chai';
import { interceptor, mount, only, StatusError } from '../../lib/index.ts';
import { Tally } from '../../lib/stats.ts';
import { metrics } from '../../middleware/metrics.ts';
import { tracing } from '../../middleware/tracing.ts';
import {
  type AnySource,
  deferred,
  definition,
  mountNames,
  quiet,
  serve,
  start,
  stopAll,
  until,
} from '../support/harness.ts';
import { type Collected, milliseconds, type Point, type Rig, startOtel } from '../support/otel.ts';
import { completed, fakeCall, layerOf } from '../support/otel-call.ts';
import { play, scenarios } from '../support/otel-scenarios.ts';

const METHOD = { 'rpc.system.name': 'grpc', 'rpc.method': 'spec.Service/Stream' };
const OLD_METHOD = { 'rpc.system': 'grpc', 'rpc.service': 'spec.Service', 'rpc.method': 'Stream' };

const points = (collected: Collected, name: string): readonly Point[] => collected[name]?.dataPoints ?? [];
const value = (collected: Collected, name: string): any => points(collected, name)[0]?.value;
const waited = (collected: Collected, reason: string): number =>
  points(collected, 'leat.server.stream.wait.time').find(
    ({ attributes }) => attributes['leat.wait.reason'] === reason,
  )?.value ?? 0;

describe('metrics()', () => {
  let otel: Rig;
  beforeEach(() => {
    otel = startOtel({ readers: ['cumulative', 'delta'] });
  });
  afterEach(async () => {
    await stopAll();
    await otel.stop();
    expect(otel.complaints).to.deep.equal([]);
  });
  const over = (calls = 1) => until('the calls are over', () => otel.servers().length === calls);

  it('OT30 measures the duration of calls as the conventions say', async () => {
    const server = await serve('mount', () => [1, 2], [tracing(), metrics()]);
    await server.call();
    await over(1);
    await otel.collect(1);
    await server.call();
    await over(2);
    const { 'rpc.server.call.duration': duration } = await otel.collect(1);
    expect(duration?.descriptor.unit).to.equal('s');
    const [point] = duration?.dataPoints ?? [];
    expect(point?.attributes).to.deep.equal({ ...METHOD, 'rpc.status_code': 'OK' });
    expect(point?.value.buckets.boundaries).to.deep.equal([
      0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
    ]);
    const span = milliseconds(otel.servers()[1]?.duration ?? [0, 0]);
    expect(point?.value.sum * 1000).to.be.within(span - 1, span + 1);
  });

  it('has a unit and the right attributes on every metric', async () => {
    const source: AnySource = async function* () {
      yield 1;
      yield 2;
      throw new StatusError(status.DATA_LOSS, 'gone');
    };
    await (await serve('mount', source, [tracing(), metrics()])).call();
    await over();
    const collected = await otel.collect();
    const ended = { ...METHOD, 'rpc.status_code': 'DATA_LOSS', 'error.type': 'DATA_LOSS' };
    const shown = Object.fromEntries(
      Object.entries(collected).map(([name, { dataPoints, descriptor }]) => [
        name,
        [descriptor.unit, dataPoints.map(({ attributes }) => attributes)],
      ]),
    );
    expect(shown).to.deep.equal({
      'rpc.server.call.duration': ['s', [ended]],
      'leat.server.stream.active': ['{stream}', [METHOD]],
      'leat.server.sent.messages': ['{message}', [METHOD]],
      'leat.server.sent.size': ['By', [METHOD]],
      'leat.server.stream.wait.time': [
        's',
        [
          { ...METHOD, 'leat.wait.reason': 'source' },
          { ...METHOD, 'leat.wait.reason': 'flow_control' },
        ],
      ],
      'leat.server.stream.time_to_first_message': ['s', [METHOD]],
      'leat.server.stream.messages': ['{message}', [ended]],
      'leat.server.stream.size': ['By', [ended]],
      'leat.server.stream.max_message_gap': ['s', [ended]],
    });
  });

  for (const on of mountNames)
    it(`O6 OT31 counts what was sent, for two readers of different minds, on ${on}`, async () => {
      const source: AnySource = ({ max }) => Array.from({ length: max }, (_, num) => 'x'.repeat(num));
      const server = await serve(on, source, [tracing(), metrics()]);
      let messages = 0;
      let bytes = 0;
      let calls = 0;
      const seen = { messages: 0, bytes: 0 };
      for (let round = 0; round < 5; round++) {
        const loads = Array.from({ length: 10 }, (_, index) => (index * 7 + round) % 13);
        for (const { length } of (await Promise.all(loads.map(max => server.call({ max })))).map(
          ({ messages }) => messages,
        )) {
          messages += length;
          bytes += (length * (length - 1)) / 2 + 2 * length;
          calls += 1;
        }
        await over(calls);
        const cumulative = await otel.collect(0);
        expect(value(cumulative, 'leat.server.sent.messages')).to.equal(messages);
        expect(value(cumulative, 'leat.server.sent.size')).to.equal(bytes);
        expect(value(cumulative, 'leat.server.stream.active')).to.equal(0);
        expect(value(cumulative, 'leat.server.stream.messages').sum).to.equal(messages);
        expect(value(cumulative, 'leat.server.stream.size').sum).to.equal(bytes);
        const delta = await otel.collect(1);
        seen.messages += value(delta, 'leat.server.sent.messages');
        seen.bytes += value(delta, 'leat.server.sent.size');
        expect(seen).to.deep.equal({ messages, bytes });
      }
    });

  for (const [name, scenario] of Object.entries(scenarios))
    it(`comes back to none that is active: ${name}`, async () => {
      const isError = () => undefined;
      await play('mount', scenario, [tracing(), metrics({ isError })]);
      const collected = await otel.collect();
      expect(value(collected, 'leat.server.stream.active')).to.equal(0);
      const [{ attributes, value: duration }] = points(collected, 'rpc.server.call.duration') as [Point];
      expect(duration.count).to.equal(1);
      expect(attributes['rpc.status_code']).to.equal(status[scenario.code]);
      expect(attributes['error.type']).to.equal(scenario.error ? status[scenario.code] : undefined);
    });

  it('OT32 shows what a stream waits for while it waits, and never takes it back', async () => {
    const gate = deferred();
    const source: AnySource = async function* () {
      yield 'x';
      await gate.promise;
      for (;;) yield 'x'.repeat(16384);
    };
    const calling = (await serve('mount', source, [tracing(), metrics()])).open();
    await until('the first message', () => calling.stream.readableFlowing === true);
    const wait = async (reason: string) => waited(await otel.collect(), reason);
    /** How much more is waited than time passes, in ms. */
    const grows = async (reason: string): Promise<void> => {
      const before = await wait(reason);
      const from = performance.now();
      await new Promise(resolve => setTimeout(resolve, 100));
      const passed = performance.now() - from;
      const grown = ((await wait(reason)) - before) * 1000;
      expect(grown).to.be.within(passed * 0.95, passed * 1.05 + 3);
    };
    await until('the call has begun', () => calling.stream.listenerCount('data') > 0);
    await new Promise(resolve => setTimeout(resolve, 20));
    await grows('source');
    const source1 = await wait('source');
    calling.stream.pause();
    gate.resolve();
    await new Promise(resolve => setTimeout(resolve, 50));
    await grows('flow_control');
    const stalled = await wait('flow_control');
    calling.cancel();
    await over();
    expect(await wait('flow_control')).to.be.at.least(stalled);
    expect(await wait('source')).to.be.at.least(source1);
    const after = await wait('flow_control');
    await new Promise(resolve => setTimeout(resolve, 10));
    expect(await wait('flow_control')).to.equal(after);
  });

  it('OT33 tells the time to the first message', async () => {
    const source: AnySource = async function* () {
      await new Promise(resolve => setTimeout(resolve, 50));
      yield 1;
    };
    const server = await serve('mount', source, [tracing(), metrics()]);
    await server.call();
    await over();
    const { sum } = value(await otel.collect(), 'leat.server.stream.time_to_first_message');
    expect(sum * 1000).to.be.within(45, 65);
  });

  it('OT34 records with a provider that is set later, or that is another one by now', async () => {
    api.disable();
    const server = await serve('mount', () => [1], [tracing(), metrics()]);
    await server.call();
    await over(1);
    api.setGlobalMeterProvider(otel.meterProvider);
    await server.call();
    await over(2);
    expect(value(await otel.collect(), 'leat.server.sent.messages')).to.equal(1);
    const first = otel;
    await first.stop();
    otel = startOtel();
    await server.call();
    await over();
    expect(value(await otel.collect(), 'leat.server.sent.messages')).to.equal(1);
  });

  describe('the names', () => {
    const record = async (options = {}) => {
      const before = otel.servers().length;
      await (await serve('mount', () => [1], [tracing(), metrics(options)])).call();
      await over(before + 1);
      const { 'rpc.server.call.duration': stable, 'rpc.server.duration': old } = await otel.collect();
      return {
        stable: stable?.dataPoints.map(({ attributes }) => attributes),
        old: old?.dataPoints.map(({ attributes }) => attributes),
        unit: old?.descriptor.unit,
      };
    };
    const stable = [{ ...METHOD, 'rpc.status_code': 'OK' }];
    const old = [{ ...OLD_METHOD, 'rpc.grpc.status_code': 0 }];

    it('OT35 are the stable ones', async () => {
      expect(await record()).to.deep.equal({ stable, old: undefined, unit: undefined });
    });
    it('OT35 are the old ones', async () => {
      expect(await record({ semconv: 'old' })).to.deep.equal({ stable: undefined, old, unit: 'ms' });
      expect(points(await otel.collect(), 'leat.server.sent.messages')[0]?.attributes).to.deep.equal(
        OLD_METHOD,
      );
    });
    it('OT35 are both', async () => {
      expect(await record({ semconv: 'dup' })).to.deep.equal({ stable, old, unit: 'ms' });
      expect(points(await otel.collect(), 'leat.server.sent.messages')[0]?.attributes).to.deep.equal(METHOD);
    });
    it('OT35 are those the environment asks for', async () => {
      process.env.OTEL_SEMCONV_STABILITY_OPT_IN = 'rpc/dup';
      try {
        expect(await record()).to.deep.equal({ stable, old, unit: 'ms' });
      } finally {
        delete process.env.OTEL_SEMCONV_STABILITY_OPT_IN;
      }
    });
  });

  it('OT36 records what gRPC records in other languages', async () => {
    const server = await serve('mount', () => ['ab', 'c'], [tracing(), metrics({ a66: true })]);
    await server.call();
    await over();
    const collected = await otel.collect();
    const labels = { 'grpc.method': 'spec.Service/Stream' };
    const ended = { ...labels, 'grpc.status': 'OK' };
    const a66 = Object.entries(collected).filter(([name]) => name.startsWith('grpc.'));
    expect(
      Object.fromEntries(
        a66.map(([name, { dataPoints, descriptor }]) => [
          name,
          [descriptor.unit, dataPoints[0]?.attributes, dataPoints[0]?.value.buckets?.boundaries.length],
        ]),
      ),
    ).to.deep.equal({
      'grpc.server.call.started': ['{call}', labels, undefined],
      'grpc.server.call.duration': ['s', ended, 41],
      'grpc.server.call.sent_total_compressed_message_size': ['By', ended, 14],
    });
    expect(value(collected, 'grpc.server.call.sent_total_compressed_message_size').sum).to.equal(7);
    await (await serve('mount', () => [], [tracing(), metrics()])).call();
    await over(2);
    expect(value(await otel.collect(), 'grpc.server.call.started')).to.equal(1);
  });

  it('OT37 has one series for a thousand peers', async () => {
    for (let peer = 0; peer < 1000; peer++)
      layerOf(metrics(), { ...fakeCall(), peer: `10.0.${peer >> 8}.${peer & 255}:50000` }).end(completed);
    for (const { dataPoints, descriptor } of Object.values(await otel.collect()))
      expect(dataPoints.length, descriptor.name).to.be.at.most(descriptor.name.includes('wait') ? 2 : 1);
  });

  it('bounds the series that an attribute of the user may make', async () => {
    let tenant = 0;
    const middleware = metrics({ metricAttributes: () => ({ tenant: tenant++ }) });
    const layers = Array.from({ length: 3000 }, () => {
      const stats = new Tally();
      stats.messages = 1;
      return layerOf(middleware, fakeCall(stats));
    });
    for (const layer of layers) layer.end(completed);
    const sent = points(await otel.collect(), 'leat.server.sent.messages');
    expect(sent.length).to.be.at.most(901);
    expect(sent.reduce((sum, { value }) => sum + value, 0)).to.equal(3000);
  });

  it('adds up what streams of two middleware have sent', async () => {
    const [a, b] = [fakeCall(), fakeCall()];
    const layers = [layerOf(metrics(), a), layerOf(metrics({ a66: true }), b)];
    a.stats.messages = 3;
    b.stats.messages = 4;
    expect(value(await otel.collect(), 'leat.server.sent.messages')).to.equal(7);
    expect(value(await otel.collect(), 'leat.server.stream.active')).to.equal(2);
    for (const layer of layers) layer.end(completed);
    expect(value(await otel.collect(), 'leat.server.sent.messages')).to.equal(7);
  });

  it('takes no bytes back when a size becomes unknown', async () => {
    const call = fakeCall();
    const layer = layerOf(metrics(), call);
    Object.assign(call.stats, { messages: 1, bytes: 100 });
    expect(value(await otel.collect(), 'leat.server.sent.size')).to.equal(100);
    Object.assign(call.stats, { messages: 2, bytes: undefined });
    layer.end(completed);
    expect(value(await otel.collect(), 'leat.server.sent.size')).to.equal(100);
  });

  it('measures a call once on two mounts', async () => {
    const server = await start(
      server => mount(server, definition, { stream: () => [1, 2, 3] }, quiet, metrics()),
      { interceptors: [interceptor(quiet, tracing(), metrics())] },
    );
    await server.call();
    await over();
    const collected = await otel.collect();
    expect(value(collected, 'leat.server.sent.messages')).to.equal(3);
    expect(value(collected, 'rpc.server.call.duration').count).to.equal(1);
  });

  /** An interceptor of somebody else, which hands on other metadata than the client's. */
  const replacing =
    (by: (metadata: Metadata) => Metadata): ServerInterceptor =>
    (_method, call) =>
      new ServerInterceptingCall(call, {
        start: next =>
          next({
            ...new ServerListenerBuilder().build(),
            onReceiveMetadata: (metadata, pass) => pass(by(metadata)),
          }),
      });
  const shared = new Metadata();
  const others = {
    'one copy for each': (metadata: Metadata) => metadata.clone(),
    'one for all': () => shared,
  };
  for (const [what, by] of Object.entries(others))
    it(`knows calls on two mounts by themselves, also where their metadata is ${what}`, async () => {
      const both = [tracing(), metrics()];
      const all = deferred();
      let open = 0;
      const source: AnySource = async function* () {
        if (++open === 3) all.resolve();
        await all.promise;
        yield 1;
      };
      const server = await start(server => mount(server, definition, { stream: source }, quiet, ...both), {
        interceptors: [interceptor(quiet, ...both), replacing(by)],
      });
      await Promise.all([server.call(), server.call(), server.call()]);
      await over(3);
      expect(otel.started).to.equal(3);
      expect(value(await otel.collect(), 'rpc.server.call.duration').count).to.equal(3);
    });

  it('adds what the hook says to every metric, and leaves out what `only` does not pick', async () => {
    const metricAttributes = () => ({ tenant: 'a' });
    await (await serve('mount', () => [1, 2], [tracing(), metrics({ metricAttributes })])).call();
    await (await serve('mount', () => [1, 2], [tracing(), only(() => false, metrics())])).call();
    await over(2);
    for (const { dataPoints, descriptor } of Object.values(await otel.collect()))
      for (const { attributes } of dataPoints) expect(attributes.tenant, descriptor.name).to.equal('a');
  });

  it('tells of a hook that fails once, and goes on', async () => {
    const fail = () => {
      throw new Error('not today');
    };
    const middleware = metrics({ metricAttributes: fail, isError: fail });
    const server = await serve('mount', () => [1], [tracing(), middleware]);
    await server.call();
    await server.call();
    await over(2);
    expect(value(await otel.collect(), 'leat.server.sent.messages')).to.equal(2);
    const told = otel.complaints.splice(0).map(text => /metrics: (\w+) failed/.exec(text)?.[1]);
    expect(told.sort()).to.deep.equal(['isError', 'metricAttributes']);
  });

  it('refuses options that make no sense', () => {
    expect(() => metrics({ filter: () => true } as never)).to.throw(
      TypeError,
      '`filter` of `metrics()` is gone: `only(match, metrics())` picks calls',
    );
    expect(() => metrics({ meterProvider: {} as never })).to.throw(
      TypeError,
      /Expected `meterProvider` to be a provider that has `getMeter`, got `Object`/,
    );
    expect(() => metrics({ semconv: 'new' as never })).to.throw(TypeError, /Expected `semconv`/);
  });
});
