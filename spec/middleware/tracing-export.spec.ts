import { expect } from 'chai';
import { drain } from '../../lib/index.ts';
import { metrics } from '../../middleware/metrics.ts';
import { scope } from '../../middleware/otel/scope.ts';
import { tracing } from '../../middleware/tracing.ts';
import { type AnySource, serve, stopAll, until } from '../support/harness.ts';
import { forget, load } from '../support/otel.ts';
import { type Receiver, receiveGrpc, receiveHttp, type Typed } from '../support/otel-receiver.ts';
import { parked } from '../support/otel-scenarios.ts';

const receivers: Record<string, () => Promise<Receiver>> = { http: receiveHttp, grpc: receiveGrpc };

/** The SDK as an application starts it, exporting to a receiver. */
function startSdk(protocol: string, { url }: Receiver): { shutdown(): Promise<void> } {
  const { NodeSDK } = load('@opentelemetry/sdk-node');
  const { OTLPTraceExporter } = load(`@opentelemetry/exporter-trace-otlp-${protocol}`);
  const { OTLPMetricExporter } = load(`@opentelemetry/exporter-metrics-otlp-${protocol}`);
  const { PeriodicExportingMetricReader } = load('@opentelemetry/sdk-metrics');
  const at = (signal: string) => (protocol === 'http' ? `${url}/v1/${signal}` : url);
  const sdk = new NodeSDK({
    serviceName: 'ticker',
    autoDetectResources: false,
    instrumentations: [],
    logRecordProcessors: [],
    traceExporter: new OTLPTraceExporter({ url: at('traces') }),
    metricReaders: [
      new PeriodicExportingMetricReader({
        exporter: new OTLPMetricExporter({ url: at('metrics') }),
        exportIntervalMillis: 3_600_000,
      }),
    ],
  });
  sdk.start();
  return sdk;
}

describe('tracing() and metrics(), exported', () => {
  let receiver: Receiver | undefined;
  afterEach(async () => {
    await stopAll();
    forget();
    await receiver?.close();
    receiver = undefined;
  });

  const source: AnySource = async function* ({ max = 3, size = 1 }) {
    for (let num = 0; num < max; num++) {
      yield 'x'.repeat(size);
      await new Promise(resolve => setImmediate(resolve));
    }
  };

  for (const [protocol, receive] of Object.entries(receivers))
    it(`OT38 arrive over OTLP/${protocol}, with types that stay`, async () => {
      const { metrics: measured, spans, ...rest } = await receive();
      receiver = { metrics: measured, spans, ...rest };
      const sdk = startSdk(protocol, receiver);
      const server = await serve('mount', source, [tracing(), metrics({ a66: true, semconv: 'dup' })]);
      for (let max = 0; max < 20; max++) await server.call({ max, size: max * 4096 });
      await sdk.shutdown();

      const signed = {
        scope: { name: scope.name, version: scope.version },
        schemaUrl: 'https://opentelemetry.io/schemas/1.45.0',
      };
      expect(spans).to.have.length(20);
      const types: Record<string, string> = {};
      const check = (attributes: Record<string, Typed>) => {
        for (const [key, [type]] of Object.entries(attributes)) {
          types[key] ??= type;
          expect(type, key).to.equal(types[key]);
        }
      };
      for (const { attributes, name, schemaUrl, scope } of spans) {
        expect({ name, scope, schemaUrl }).to.deep.equal({ name: 'spec.Service/Stream', ...signed });
        check(attributes);
      }
      expect(types).to.include({
        'rpc.status_code': 'stringValue',
        'server.port': 'intValue',
        'leat.stream.message.count': 'intValue',
        'leat.stream.size': 'intValue',
        'leat.stream.time_to_first_message': 'doubleValue',
        'leat.stream.wait.source': 'doubleValue',
        'leat.stream.max_message_gap': 'doubleValue',
      });
      for (const { attributes, schemaUrl, scope } of measured) {
        expect({ scope, schemaUrl }).to.deep.equal(signed);
        for (const one of attributes)
          for (const [type] of Object.values(one)) expect(type).to.match(/^(string|int)Value$/);
      }
      expect(
        Object.fromEntries(measured.map(({ name, unit, values }) => [name, [unit, values[0]]])),
      ).to.deep.equal({
        'rpc.server.call.duration': ['s', 'sum'],
        'rpc.server.duration': ['ms', 'sum'],
        'leat.server.stream.active': ['{stream}', 'asDouble'],
        'leat.server.sent.messages': ['{message}', 'asDouble'],
        'leat.server.sent.size': ['By', 'asDouble'],
        'leat.server.stream.wait.time': ['s', 'asDouble'],
        'leat.server.stream.time_to_first_message': ['s', 'sum'],
        'leat.server.stream.messages': ['{message}', 'sum'],
        'leat.server.stream.size': ['By', 'sum'],
        'leat.server.stream.max_message_gap': ['s', 'sum'],
        'grpc.server.call.started': ['{call}', 'asDouble'],
        'grpc.server.call.duration': ['s', 'sum'],
        'grpc.server.call.sent_total_compressed_message_size': ['By', 'sum'],
      });
    });

  it('OT39 the span of an open stream arrives when the server is drained first', async () => {
    receiver = await receiveHttp();
    const sdk = startSdk('http', receiver);
    const server = await serve('mount', parked, [tracing(), metrics()]);
    const calling = server.open();
    await new Promise(resolve => calling.stream.once('data', resolve));
    await drain(server.server, { graceMs: 100 });
    await sdk.shutdown();
    expect(receiver.spans.map(({ attributes }) => attributes['leat.stream.end_reason'])).to.deep.equal([
      ['stringValue', 'drain'],
    ]);
  });

  it('OT39 and is lost when the SDK is shut down first, as documented', async () => {
    receiver = await receiveHttp();
    const sdk = startSdk('http', receiver);
    const server = await serve('mount', parked, [tracing(), metrics()]);
    const calling = server.open();
    await new Promise(resolve => calling.stream.once('data', resolve));
    await sdk.shutdown();
    await drain(server.server, { graceMs: 100 });
    await until('the client was told', () => calling.stream.readableEnded || calling.stream.destroyed);
    expect(receiver.spans).to.deep.equal([]);
  });
});
