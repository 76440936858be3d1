import { createRequire } from 'node:module';
import { Server, status } from '@grpc/grpc-js';
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { expect } from 'chai';
import { interceptor, mount } from '../../lib/index.ts';
import { ignoreGrpcMethods, tracing } from '../../middleware/tracing.ts';
import { definition, mountNames, quiet, serve, start, stopAll, until } from '../support/harness.ts';
import { type Finished, type Rig, startOtel } from '../support/otel.ts';
import { play, scenarios } from '../support/otel-scenarios.ts';

const require = createRequire(import.meta.url);
const AUTO = '@opentelemetry/instrumentation-grpc';

describe('tracing() beside @opentelemetry/instrumentation-grpc', () => {
  let otel: Rig;
  let auto: any;

  /** Patches grpc-js, as a preloaded instrumentation does; taken back after the test. */
  const instrument = (config: object = {}) => {
    auto ??= new (require(AUTO).GrpcInstrumentation)(config);
    auto.setConfig(config);
    auto.setTracerProvider(otel.tracerProvider);
    auto.enable();
    require('@grpc/grpc-js');
    expect(isPatched()).to.equal(true);
  };
  const isPatched = () => '__wrapped' in (Server.prototype as any).register;

  beforeEach(() => {
    otel = startOtel();
  });
  afterEach(async () => {
    await stopAll();
    auto?.disable();
    await otel.stop();
    expect(isPatched()).to.equal(false);
  });

  const by = ({ instrumentationScope }: Finished) => instrumentationScope.name;

  describe('that enriches', () => {
    for (const on of ['produce', 'mount', 'wrap'] as const)
      for (const [name, scenario] of Object.entries(scenarios))
        it(`O8 OT25 there is one span: ${name}, on ${on}`, async () => {
          instrument();
          await play(on, scenario, [tracing()]);
          expect(otel.servers().map(by)).to.deep.equal([AUTO]);
          const [{ attributes, name, status: verdict }] = otel.servers() as [Finished];
          expect(name).to.equal('grpc.spec.Service/Stream');
          expect(attributes).to.include({
            'rpc.system': 'grpc',
            'rpc.service': 'spec.Service',
            'rpc.system.name': 'grpc',
            'rpc.method': 'spec.Service/Stream',
            'rpc.status_code': status[scenario.code],
            'leat.stream.end_reason': scenario.reason,
          });
          expect(attributes['error.type']).to.equal(scenario.error ? status[scenario.code] : undefined);
          if (scenario.error) expect(verdict.code).to.equal(SpanStatusCode.ERROR);
          expect(otel.complaints).to.deep.equal([]);
        });

    it('renames it when asked to', async () => {
      instrument();
      await (await serve('mount', () => [1], [tracing({ renameExisting: true })])).call();
      await until('it is over', () => otel.servers().length === 1);
      expect(otel.servers()[0]?.name).to.equal('spec.Service/Stream');
    });

    it('leaves one that is not sampled alone', async () => {
      await otel.stop();
      otel = startOtel({ sampler: { shouldSample: () => ({ decision: 0 }) } });
      instrument();
      const { code } = await (await serve('mount', () => [1], [tracing()])).call();
      expect([code, otel.spans]).to.deep.equal([0, []]);
    });
  });

  it('OT26 puts a child into it when asked to', async () => {
    instrument();
    await (await serve('mount', () => [1], [tracing({ existingSpan: 'child' })])).call();
    await until('it is over', () => otel.servers().length === 1);
    const child = otel.spans.find(span => by(span) === 'leat');
    expect(child).to.include({ name: 'spec.Service/Stream', kind: SpanKind.INTERNAL });
    expect(child?.attributes['rpc.status_code']).to.equal('OK');
    expect(child?.parentSpanContext?.spanId).to.equal(otel.servers()[0]?.spanContext().spanId);
    expect(otel.servers().map(by)).to.deep.equal([AUTO]);
    expect(otel.complaints).to.deep.equal([]);
  });

  it('OT26 makes a second one when asked to, and warns of it once', async () => {
    instrument();
    const server = await serve('mount', () => [1], [tracing({ existingSpan: 'ignore' })]);
    await server.call();
    await server.call();
    await until('both are over', () => otel.servers().length === 4);
    expect(otel.servers().map(by).sort()).to.deep.equal([AUTO, AUTO, 'leat', 'leat']);
    expect(otel.complaints).to.have.length(1);
    expect(otel.complaints[0]).to.include('ignoreGrpcMethods');
  });

  for (const on of mountNames)
    it(`OT27 is alone where the other one is told to keep away, on ${on}`, async () => {
      instrument({ ignoreGrpcMethods: [ignoreGrpcMethods(definition)] });
      await (await serve(on, () => [1], [tracing()])).call();
      await until('it is over', () => otel.servers().length === 1);
      expect(otel.servers().map(by)).to.deep.equal(['leat']);
      expect(otel.complaints).to.deep.equal([]);
    });

  it('OT27 keeps it away from methods of every kind, by their bare names', () => {
    const ignored = ignoreGrpcMethods({
      watch: { path: '/a.B/Watch', requestStream: false, responseStream: true },
      get: { path: '/a.B/Get', requestStream: false, responseStream: false },
      chat: { path: '/a.B/Chat', requestStream: true, responseStream: true },
    });
    expect(['Watch', 'watch', 'Get', 'Chat', 'List'].map(ignored)).to.deep.equal([
      true,
      true,
      true,
      true,
      false,
    ]);
    expect(() => ignoreGrpcMethods(undefined as never)).to.throw(TypeError, 'Expected `definition`');
  });

  describe('OT28 in two copies', () => {
    for (const [name, scenario] of Object.entries(scenarios))
      it(`is one span: ${name}`, async () => {
        const { code, reason } = scenario;
        await play('mount', scenario, [tracing(), tracing()]);
        expect(otel.servers()).to.have.length(1);
        expect(otel.servers()[0]?.attributes).to.include({
          'rpc.status_code': status[code],
          'leat.stream.end_reason': reason,
        });
        expect([otel.started, otel.complaints]).to.deep.equal([1, []]);
      });

    it('is one span on two mounts, which knows what each of them knows', async () => {
      const server = await start(
        server =>
          mount(
            server,
            definition,
            {
              async *stream(_request, call) {
                seen.push(trace.getActiveSpan()?.spanContext().spanId);
                call.trailer.set('x-inner', 'yes');
                yield 1;
                throw new RangeError('secret');
              },
            },
            quiet,
            tracing({ responseTrailers: ['x-inner'] }),
          ),
        { interceptors: [interceptor(quiet, tracing())] },
      );
      const seen: unknown[] = [];
      expect((await server.call()).details).to.equal('internal error');
      await until('it is over', () => otel.servers().length === 1);
      const [span] = otel.servers() as [Finished];
      const { attributes, events } = span;
      expect(seen).to.deep.equal([span.spanContext().spanId]);
      expect(attributes).to.include({ 'leat.stream.message.count': 1, 'leat.stream.size': 1 });
      expect(attributes['rpc.response.trailer.x-inner']).to.deep.equal(['yes']);
      expect(events.map(({ attributes }) => attributes?.['exception.type'])).to.deep.equal(['RangeError']);
      expect([otel.started, otel.complaints]).to.deep.equal([1, []]);
    });

    it('says nothing more once the span is over', async () => {
      const server = await start(
        server =>
          mount(
            server,
            definition,
            {
              stream: () =>
                (async function* () {
                  yield 1;
                  await new Promise(() => {});
                })(),
            },
            quiet,
            tracing(),
          ),
        { interceptors: [interceptor(quiet, tracing())] },
      );
      const calling = server.open();
      calling.stream.once('data', () => calling.cancel());
      await until('it is over', () => otel.servers().length === 1);
      await new Promise(resolve => setTimeout(resolve, 10));
      expect(otel.servers()[0]?.attributes['leat.stream.end_reason']).to.equal('cancelled');
      expect([otel.started, otel.complaints]).to.deep.equal([1, []]);
    });
  });

  it('OT29 needs no loader hook: nothing is patched', async () => {
    expect(isPatched()).to.equal(false);
    expect(process.execArgv.join(' ')).not.to.include('instrumentation');
    await (await serve('mount', () => [1], [tracing()])).call();
    await until('it is over', () => otel.servers().length === 1);
  });
});
