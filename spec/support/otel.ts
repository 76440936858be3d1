import { createRequire } from 'node:module';
import * as api from '@opentelemetry/api';
import {
  type Attributes,
  context,
  DiagLogLevel,
  diag,
  type HrTime,
  type Link,
  metrics,
  propagation,
  type SpanContext,
  type SpanKind,
  type SpanStatus,
  trace,
} from '@opentelemetry/api';

/** Reaches what the SDK depends on, wherever that is installed; its two major versions differ in types. */
const require = createRequire(createRequire(import.meta.url).resolve('@opentelemetry/sdk-node'));

export const load = (name: string): any => require(name);

export const sdk: 2 | 3 = has('@opentelemetry/sdk-trace-node') ? 2 : 3;

function has(name: string): boolean {
  try {
    require.resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** A finished span, as far as both versions of the SDK agree on it. */
export interface Finished {
  readonly name: string;
  readonly kind: SpanKind;
  readonly attributes: Attributes;
  readonly status: SpanStatus;
  readonly events: readonly { name: string; attributes?: Attributes }[];
  readonly links: readonly Link[];
  readonly duration: HrTime;
  readonly parentSpanContext?: SpanContext;
  readonly instrumentationScope: { name: string; version?: string; schemaUrl?: string };
  spanContext(): SpanContext;
}

export interface Point {
  readonly attributes: Attributes;
  readonly value: any;
}

export interface Metric {
  readonly descriptor: { name: string; unit: string; advice: { explicitBucketBoundaries?: number[] } };
  readonly dataPoints: readonly Point[];
}

/** Metrics of ours, by name, as one reader collects them. */
export type Collected = Record<string, Metric>;

export interface Rig {
  /** Spans that ended, in that order. */
  readonly spans: Finished[];
  /** How many spans were started. */
  readonly started: number;
  /** What the SDK, the API or one of our middleware complained of. */
  readonly complaints: string[];
  readonly logs: { eventName: string; attributes: Attributes; severityNumber: number; spanContext: any }[];
  /** What `@opentelemetry/api` 1.9 has no global for. */
  readonly loggerProvider: any;
  readonly tracerProvider: any;
  readonly meterProvider: any;
  /** Spans of kind SERVER. */
  servers(): Finished[];
  collect(reader?: number): Promise<Collected>;
  stop(): Promise<void>;
}

export interface RigOptions {
  readonly sampler?: object;
  readonly processors?: object[];
  /** One reader per entry. */
  readonly readers?: ('cumulative' | 'delta')[];
  /** Leaves the global meter provider alone. */
  readonly lateMeter?: boolean;
}

/** Sets OpenTelemetry up as an application does, but for exporters that keep everything here. */
export function startOtel(options: RigOptions = {}): Rig {
  const complaints: string[] = [];
  const complain = (...args: unknown[]) => void complaints.push(args.map(String).join(' '));
  const ignore = () => {};
  diag.setLogger(
    { error: complain, warn: complain, info: ignore, debug: ignore, verbose: ignore },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  const spans: Finished[] = [];
  let started = 0;
  const keep = {
    onStart() {
      started += 1;
    },
    onEnd: (span: Finished) => void spans.push(span),
    forceFlush: async () => {},
    shutdown: async () => {},
  };
  const tracerProvider = startTracing([keep, ...(options.processors ?? [])], options.sampler);
  const { readers, meterProvider } = startMetrics(options.readers ?? ['cumulative']);
  if (!options.lateMeter) metrics.setGlobalMeterProvider(meterProvider);
  const { records, loggerProvider } = startLogs();
  return {
    spans,
    get started() {
      return started;
    },
    complaints,
    get logs() {
      return records.getFinishedLogRecords();
    },
    loggerProvider,
    tracerProvider,
    meterProvider,
    servers: () => spans.filter(({ kind }) => kind === 1),
    collect: (reader = 0) => readers[reader]?.() ?? Promise.reject(new Error('no such reader')),
    async stop() {
      await Promise.all([tracerProvider.shutdown(), meterProvider.shutdown(), loggerProvider.shutdown()]);
      forget();
    },
  };
}

/** The logs of the API, which 1.9 does not have. */
export const logs: { setGlobalLoggerProvider(provider: object): void; disable(): void } | undefined = (
  api as any
).logs;

/** Takes everything global back. */
export function forget(): void {
  for (const one of [trace, context, propagation, metrics, diag, logs]) one?.disable();
}

function startTracing(spanProcessors: object[], sampler: object | undefined): any {
  const config = { spanProcessors, ...(sampler && { sampler }) };
  if (sdk === 2) {
    const provider = new (load('@opentelemetry/sdk-trace-node').NodeTracerProvider)(config);
    provider.register();
    return provider;
  }
  const provider = new (load('@opentelemetry/sdk-trace').TracerProvider)(config);
  const { AsyncLocalStorageContextManager } = load('@opentelemetry/context-async-hooks');
  const { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } =
    load('@opentelemetry/core');
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(
    new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }),
  );
  return provider;
}

function startMetrics(kinds: ('cumulative' | 'delta')[]) {
  const { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } =
    load('@opentelemetry/sdk-metrics');
  const pairs = kinds.map(kind => {
    const exporter = new InMemoryMetricExporter(
      kind === 'delta' ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE,
    );
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
    return { exporter, reader };
  });
  const meterProvider = new MeterProvider({ readers: pairs.map(({ reader }) => reader) });
  const readers = pairs.map(({ exporter, reader }) => async (): Promise<Collected> => {
    exporter.reset();
    await reader.forceFlush();
    const collected: Collected = {};
    for (const { scopeMetrics } of exporter.getMetrics())
      for (const { metrics } of scopeMetrics)
        for (const metric of metrics) collected[metric.descriptor.name] = metric;
    return collected;
  });
  return { readers, meterProvider };
}

function startLogs() {
  const { InMemoryLogRecordExporter, LoggerProvider, SimpleLogRecordProcessor } =
    load('@opentelemetry/sdk-logs');
  const records = new InMemoryLogRecordExporter();
  const processor = new SimpleLogRecordProcessor({ exporter: records });
  return { records, loggerProvider: new LoggerProvider({ processors: [processor] }) };
}

export function milliseconds([seconds, nanos]: HrTime): number {
  return seconds * 1000 + nanos / 1e6;
}
