import {
  type Counter,
  createNoopMeter,
  type Histogram,
  type Meter,
  type MeterProvider,
  type UpDownCounter,
} from '@opentelemetry/api';
import { COUNT, DURATION, GAP, LATENCY, SIZE } from './buckets.ts';
import { scope } from './scope.ts';
import { names, type Semconv } from './semconv.ts';
import { Totals } from './totals.ts';

/** What one `metrics()` records with, made by one provider. */
export interface Instruments {
  readonly totals: Totals;
  readonly active: UpDownCounter;
  readonly duration: Histogram | undefined;
  readonly oldDuration: Histogram | undefined;
  readonly firstMessage: Histogram;
  readonly messages: Histogram;
  readonly size: Histogram;
  readonly maxGap: Histogram;
  readonly a66: A66 | undefined;
}

/** The instruments of gRFC A66. */
export interface A66 {
  readonly started: Counter;
  readonly duration: Histogram;
  readonly sent: Histogram;
}

const totals = new WeakMap<MeterProvider, Totals>();

/** Makes the instruments; `undefined` while there is no SDK, which alone would keep what they record. */
export function instrumentsOf(
  provider: MeterProvider,
  semconv: Semconv,
  a66: boolean,
): Instruments | undefined {
  const meter = provider.getMeter(scope.name, scope.version, { schemaUrl: scope.schemaUrl });
  if (meter === createNoopMeter()) return undefined;
  const shared = totals.get(provider) ?? new Totals(meter);
  totals.set(provider, shared);
  const histogram = histograms(meter);
  const taken = 'Measures the duration of an incoming Remote Procedure Call (RPC).';
  return {
    totals: shared,
    active: meter.createUpDownCounter('leat.server.stream.active', {
      description: 'Server streams that are open.',
      unit: '{stream}',
    }),
    duration: semconv === 'old' ? undefined : histogram(names.duration, 's', taken, DURATION),
    oldDuration: semconv === 'stable' ? undefined : histogram(names.oldDuration, 'ms', taken),
    firstMessage: histogram(
      'leat.server.stream.time_to_first_message',
      's',
      'Time from the start of a server stream to its first message.',
      DURATION,
    ),
    messages: histogram('leat.server.stream.messages', '{message}', 'Messages of a server stream.', COUNT),
    size: histogram(
      'leat.server.stream.size',
      'By',
      'Encoded size of the messages of a server stream.',
      SIZE,
    ),
    maxGap: histogram(
      'leat.server.stream.max_message_gap',
      's',
      'The longest time between two messages of a server stream.',
      GAP,
    ),
    a66: a66 ? a66Of(meter) : undefined,
  };
}

/** https://github.com/grpc/proposal/blob/master/A66-otel-stats.md */
function a66Of(meter: Meter): A66 {
  const histogram = histograms(meter);
  return {
    started: meter.createCounter('grpc.server.call.started', {
      description: 'Number of server calls started.',
      unit: '{call}',
    }),
    duration: histogram(
      'grpc.server.call.duration',
      's',
      'End-to-end time taken to complete a call from server transport.',
      LATENCY,
    ),
    sent: histogram(
      'grpc.server.call.sent_total_compressed_message_size',
      'By',
      'Compressed message bytes sent per server call.',
      SIZE,
    ),
  };
}

function histograms(meter: Meter) {
  return (name: string, unit: string, description: string, boundaries?: number[]): Histogram =>
    meter.createHistogram(name, {
      description,
      unit,
      ...(boundaries && { advice: { explicitBucketBoundaries: boundaries } }),
    });
}
