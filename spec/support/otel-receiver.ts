import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { Server, ServerCredentials } from '@grpc/grpc-js';

/** A value as it was sent: its type, and itself. */
export type Typed = [type: string, value: unknown];

export interface ReceivedSpan {
  readonly name: string;
  readonly scope: { name: string; version: string };
  readonly schemaUrl: string;
  readonly attributes: Record<string, Typed>;
}

export interface ReceivedMetric {
  readonly name: string;
  readonly unit: string;
  readonly scope: { name: string; version: string };
  readonly schemaUrl: string;
  readonly attributes: Record<string, Typed>[];
  /** Names of the types that its points have: `asDouble`, `asInt` or `sum`. */
  readonly values: string[];
}

/** What receives OTLP: a server that keeps what exporters send to it. */
export interface Receiver {
  readonly url: string;
  readonly spans: ReceivedSpan[];
  readonly metrics: ReceivedMetric[];
  close(): Promise<void>;
}

class Kept {
  readonly spans: ReceivedSpan[] = [];
  readonly metrics: ReceivedMetric[] = [];

  traces({ resourceSpans = [] }: any): void {
    for (const { scopeSpans } of resourceSpans)
      for (const { scope, schemaUrl, spans } of scopeSpans)
        for (const { name, attributes } of spans)
          this.spans.push({ name, scope, schemaUrl, attributes: typed(attributes) });
  }

  measures({ resourceMetrics = [] }: any): void {
    for (const { scopeMetrics } of resourceMetrics)
      for (const { scope, schemaUrl, metrics } of scopeMetrics)
        for (const { name, unit, ...rest } of metrics) {
          const { dataPoints } = rest.sum ?? rest.histogram ?? rest.gauge;
          const values = dataPoints.map((point: any) =>
            ['asDouble', 'asInt', 'sum'].find(key => point[key] !== undefined),
          );
          const attributes = dataPoints.map((point: any) => typed(point.attributes));
          this.metrics.push({ name, unit, scope, schemaUrl, attributes, values });
        }
  }
}

function typed(attributes: any[] = []): Record<string, Typed> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, Object.entries(value)[0] as unknown as Typed]),
  );
}

/** OTLP over HTTP, in JSON. */
export async function receiveHttp(): Promise<Receiver> {
  const kept = new Kept();
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = JSON.parse(Buffer.concat(chunks).toString());
    if (request.url === '/v1/traces') kept.traces(body);
    else if (request.url === '/v1/metrics') kept.measures(body);
    response.setHeader('content-type', 'application/json').end('{}');
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    spans: kept.spans,
    metrics: kept.metrics,
    close: () => new Promise(resolve => server.close(() => resolve())),
  };
}

/** The part of OTLP that is looked at. https://github.com/open-telemetry/opentelemetry-proto */
const PROTO = `syntax = "proto3";
message Traces { repeated ResourceSpans resourceSpans = 1; }
message ResourceSpans { repeated ScopeSpans scopeSpans = 2; }
message ScopeSpans { Scope scope = 1; repeated Span spans = 2; string schemaUrl = 3; }
message Scope { string name = 1; string version = 2; }
message Span { string name = 5; int32 kind = 6; repeated KeyValue attributes = 9; }
message KeyValue { string key = 1; AnyValue value = 2; }
message AnyValue { oneof value {
  string stringValue = 1; bool boolValue = 2; int64 intValue = 3; double doubleValue = 4; } }
message Metrics { repeated ResourceMetrics resourceMetrics = 1; }
message ResourceMetrics { repeated ScopeMetrics scopeMetrics = 2; }
message ScopeMetrics { Scope scope = 1; repeated Metric metrics = 2; string schemaUrl = 3; }
message Metric { string name = 1; string unit = 3; oneof data { Points sum = 7; Histogram histogram = 9; } }
message Points { repeated Point dataPoints = 1; }
message Point { repeated KeyValue attributes = 7; oneof value { double asDouble = 4; sfixed64 asInt = 6; } }
message Histogram { repeated HistogramPoint dataPoints = 1; }
message HistogramPoint { repeated KeyValue attributes = 9; fixed64 count = 4; optional double sum = 5; }`;

/** OTLP over gRPC. */
export async function receiveGrpc(): Promise<Receiver> {
  const require = createRequire(createRequire(import.meta.url).resolve('@grpc/proto-loader'));
  const { root } = require('protobufjs').parse(PROTO);
  const kept = new Kept();
  const server = new Server();
  const method = (kind: 'trace' | 'metrics', take: (body: any) => void, type: string) => {
    const service = kind === 'trace' ? 'TraceService' : 'MetricsService';
    const decoder = root.lookupType(type);
    const definition = {
      path: `/opentelemetry.proto.collector.${kind}.v1.${service}/Export`,
      requestStream: false,
      responseStream: false,
      requestSerialize: (bytes: Buffer) => bytes,
      requestDeserialize: (bytes: Buffer) => decoder.toObject(decoder.decode(bytes), { longs: Number }),
      responseSerialize: () => Buffer.alloc(0),
      responseDeserialize: () => ({}),
    };
    server.addService(
      { export: definition },
      {
        export({ request }: any, respond: (error: null, value: object) => void) {
          take(request);
          respond(null, {});
        },
      },
    );
  };
  method('trace', body => kept.traces(body), 'Traces');
  method('metrics', body => kept.measures(body), 'Metrics');
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return {
    url: `http://127.0.0.1:${port}`,
    spans: kept.spans,
    metrics: kept.metrics,
    close: async () => server.forceShutdown(),
  };
}
