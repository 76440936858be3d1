import {
  type Attributes,
  type Context,
  context,
  type MeterProvider,
  metrics as otel,
} from '@opentelemetry/api';
import { checkBoolean, checkOptions } from '../lib/check.ts';
import { makes, middleware } from '../lib/made.ts';
import type { Stats } from '../lib/stats.ts';
import type { Call, Layer, Middleware, Outcome } from '../lib/types.ts';
import { type IsError, isFailure } from './otel/failure.ts';
import { guard, type Safely } from './otel/guard.ts';
import { type Instruments, instrumentsOf } from './otel/instruments.ts';
import {
  attributesFrom,
  checkHooks,
  checkProvider,
  isOfInterest,
  PerCall,
  refuseFilter,
} from './otel/scope.ts';
import {
  methodAttributes,
  methodOf,
  names,
  type Semconv,
  semconvOf,
  statusAttributes,
  statusName,
} from './otel/semconv.ts';

export { deadlineIsNotError, type IsError } from './otel/failure.ts';
export type { Semconv } from './otel/semconv.ts';
export { type Measurable, type TopicMetricsOptions, topicMetrics } from './otel/topics.ts';

/** What is measured, and under which names. */
export interface MetricsOptions {
  /**
   * Where instruments are made.
   * @default the global provider, also one that is set later
   */
  readonly meterProvider?: MeterProvider;
  /**
   * Which names of the semantic conventions are used.
   * @default what `OTEL_SEMCONV_STABILITY_OPT_IN` asks for with `rpc/dup` or `rpc/old`, else 'stable'
   */
  readonly semconv?: Semconv;
  /** More attributes of a call. Each combination is a time series: nothing that differs from call to call. */
  readonly metricAttributes?: (call: Call) => Attributes;
  /** Whether an outcome is an error: decides `error.type`. Give `tracing` the same. */
  readonly isError?: IsError;
  /**
   * Whether the metrics that gRPC itself has in other languages (gRFC A66) are recorded as well.
   * @default false
   */
  readonly a66?: boolean;
}

/**
 * OpenTelemetry metrics of streams, the open ones included: messages and bytes sent, time spent waiting for the
 * source and for the client as it passes, streams that are open, and per call its duration, its time to the
 * first message, its size and its longest gap. Streams count for themselves in plain fields, and are added up
 * when metrics are collected.
 *
 * Stands after `tracing()`, so that exemplars point to its spans. Without an SDK of OpenTelemetry it does nothing.
 * Calls of `grpc.health.v1.Health` and `grpc.reflection` are not measured; `only(match, metrics())` picks among the
 * others.
 *
 * @example
 * mount(server, NumberService.service, sources, tracing(), metrics({ a66: true }));
 * @throws TypeError when an option is out of its range.
 */
export function metrics(options: MetricsOptions = {}): Middleware {
  refuseFilter(options, 'metrics');
  checkOptions(options, ['meterProvider', 'semconv', 'metricAttributes', 'isError', 'a66']);
  const { meterProvider, metricAttributes, isError, a66 = false } = options;
  checkHooks({ metricAttributes, isError });
  checkBoolean('a66', a66);
  checkProvider('meterProvider', meterProvider, 'getMeter');
  const semconv = semconvOf(options.semconv);
  const safely = guard('metrics');
  let made: { provider: MeterProvider; instruments: Instruments | undefined } | undefined;
  // A provider that is set later is another one: the API has no proxy for meters.
  const instruments = () => {
    const provider = meterProvider ?? otel.getMeterProvider();
    if (made?.provider !== provider) made = { provider, instruments: instrumentsOf(provider, semconv, a66) };
    return made.instruments;
  };
  const open = (call: Call): Layer<unknown> | undefined => {
    const to = instruments();
    if (to === undefined || measurements.get(call)?.over === false) return undefined;
    const more = attributesFrom('metricAttributes', metricAttributes, call, safely);
    return new Measurement(call, to, { semconv, isError, safely, more });
  };
  return middleware(function metrics(call) {
    if (!isOfInterest(call)) return undefined;
    return safely('the start of a measurement', () => open(call), undefined);
  });
}

makes(metrics);

/** The measurements of calls in progress: whoever comes second, on another mount, would count twice. */
const measurements: PerCall<Measurement> = new PerCall('leat.measurement');

interface Settings {
  readonly semconv: Semconv;
  readonly isError: IsError | undefined;
  readonly safely: Safely;
  /** What the user adds to the attributes of this call. */
  readonly more: Attributes | undefined;
}

/** One call, measured until its end. */
class Measurement implements Layer<unknown> {
  over = false;
  private readonly stats: Stats;
  private readonly attributes: Attributes;
  private readonly close: () => void;
  private context: Context = context.active();

  constructor(
    private readonly call: Call,
    private readonly to: Instruments,
    private readonly settings: Settings,
  ) {
    const { more, semconv } = settings;
    this.stats = call.stats;
    this.attributes = { ...methodAttributes(call.path, semconv === 'dup' ? 'stable' : semconv), ...more };
    this.close = to.totals.open(this.stats, this.attributes);
    to.active.add(1, this.attributes, this.context);
    to.a66?.started.add(1, { 'grpc.method': methodOf(call.path) }, this.context);
    measurements.set(call, this);
  }

  start(next: () => void): void {
    this.context = context.active();
    next();
  }

  end(outcome: Outcome): void {
    this.over = true;
    this.settings.safely('the end of a measurement', () => this.record(outcome), undefined);
  }

  private record(outcome: Outcome): void {
    const { attributes, call, context, stats, to } = this;
    const { isError, more, safely, semconv } = this.settings;
    const seconds = (performance.now() - stats.startedAt) / 1000;
    this.close();
    to.active.add(-1, attributes, context);
    const code = statusName(outcome.code);
    const failed = isFailure(outcome, call, isError, safely);
    const ended: Attributes = {
      ...attributes,
      ...statusAttributes(outcome.code, semconv === 'dup' ? 'stable' : semconv),
      ...(failed && { [names.errorType]: code }),
    };
    to.duration?.record(seconds, ended, context);
    const old = { ...methodAttributes(call.path, 'old'), ...statusAttributes(outcome.code, 'old'), ...more };
    to.oldDuration?.record(seconds * 1000, old, context);
    to.messages.record(stats.messages, ended, context);
    if (stats.bytes !== undefined) to.size.record(stats.bytes, ended, context);
    if (stats.messages > 1) to.maxGap.record(stats.maxGapMs / 1000, ended, context);
    const { firstMessageAt } = stats;
    if (firstMessageAt !== undefined)
      to.firstMessage.record((firstMessageAt - stats.startedAt) / 1000, attributes, context);
    if (!to.a66) return;
    const a66 = { 'grpc.method': methodOf(call.path), 'grpc.status': code };
    to.a66.duration.record(seconds, a66, context);
    if (stats.bytes !== undefined) to.a66.sent.record(stats.bytes, a66, context);
  }
}
