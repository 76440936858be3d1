import { trace } from '@opentelemetry/api';
import { NodeSDK, metrics as sdkMetrics, tracing as sdkTracing } from '@opentelemetry/sdk-node';

/** What takes spans, and keeps none: thousands of calls would fill the heap. */
const nowhere: sdkTracing.SpanExporter = {
  export: (_spans, done) => done({ code: 0 }),
  shutdown: async () => {},
};

/** Sets OpenTelemetry up as applications do, but that nothing leaves the process, and uses its context once. */
export function startSdk(): void {
  const exporter = new sdkMetrics.InMemoryMetricExporter(sdkMetrics.AggregationTemporality.CUMULATIVE);
  new NodeSDK({
    spanProcessors: [new sdkTracing.BatchSpanProcessor(nowhere)],
    metricReaders: [new sdkMetrics.PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1000 })],
    autoDetectResources: false,
  }).start();
  trace.getTracer('bench').startActiveSpan('start', span => span.end());
}
