import {
  type Attributes,
  type Context,
  context,
  type Span,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { Stats } from '../../lib/stats.ts';
import type { Call, EndReason, Layer, Outcome } from '../../lib/types.ts';
import { exceptionOf, recordException } from './exceptions.ts';
import { isFailure } from './failure.ts';
import { progress, type Running, segments } from './progress.ts';
import { methodOf, names, statusAttributes, statusName } from './semconv.ts';
import { metadataAttributes, type Opened } from './span.ts';
import { summary } from './summary.ts';
import type { Settings } from './tracing-options.ts';

/** The span of one call, until its end. */
export class Recording implements Layer<unknown> {
  /** Nothing may be added to the span any more. */
  over = false;
  readonly span: Span;
  /** What an inner `tracing()` knew of the end before. */
  heard: { reason: EndReason; cause: unknown; bytes: number | undefined } | undefined;
  private readonly context: Context;
  private readonly stats: Stats | undefined;
  private readonly beside: Running[] = [];

  constructor(
    opened: Opened,
    private readonly close: () => void,
    private readonly call: Call,
    private readonly settings: Settings,
    tracer: Tracer,
  ) {
    const { span } = opened;
    this.span = span;
    this.context = opened.context;
    if (!span.isRecording()) return;
    const { stats } = call;
    this.stats = stats;
    const { loggerProvider, safely, segmentMs } = settings;
    if (settings.progress)
      this.beside.push(progress(opened, stats, settings.progress, loggerProvider, safely));
    if (segmentMs !== undefined)
      this.beside.push(segments(tracer, methodOf(call.path), opened.context, stats, segmentMs, safely));
  }

  start(next: () => void): void {
    context.with(this.context, next);
  }

  end(outcome: Outcome): void {
    const { safely } = this.settings;
    this.over = true;
    for (const running of this.beside) running.stop();
    const { stats } = this;
    if (stats && this.span.isRecording())
      safely('the end of a span', () => this.tell(outcome, stats), undefined);
    safely('the end of a span', this.close, undefined);
  }

  private tell(outcome: Outcome, stats: Stats): void {
    const { call, heard, span } = this;
    const { exceptions, isError, loggerProvider, redactMessages, safely, semconv } = this.settings;
    const failed = isFailure(outcome, call, isError, safely);
    const known = outcome.reason === 'error' && heard?.reason !== 'completed' ? heard?.reason : undefined;
    const reason = known ?? outcome.reason;
    span.setAttributes({
      ...summary(stats, stats.bytes ?? heard?.bytes),
      ...sent(call, outcome, this.settings),
      ...statusAttributes(outcome.code, semconv),
      'leat.stream.end_reason': reason,
    });
    if (!failed) return;
    span.setAttribute(names.errorType, statusName(outcome.code));
    const cause = heard?.cause ?? outcome.cause;
    const exception = reason === 'error' ? exceptionOf({ ...outcome, cause }) : undefined;
    const message = exception?.message ?? outcome.details;
    span.setStatus({ code: SpanStatusCode.ERROR, ...(redactMessages ? {} : { message }) });
    if (exception) recordException(span, this.context, exception, exceptions, redactMessages, loggerProvider);
  }
}

/** A `tracing()` inside another one: adds what it knows to the span of that one. */
export class Follower implements Layer<unknown> {
  private readonly stats: Stats | undefined;

  constructor(
    private readonly recording: Recording,
    private readonly call: Call,
    private readonly settings: Settings,
  ) {
    if (recording.span.isRecording()) this.stats = call.stats;
  }

  start(next: () => void): void {
    context.with(trace.setSpan(context.active(), this.recording.span), next);
  }

  end(outcome: Outcome): void {
    const { call, recording, settings, stats } = this;
    if (recording.over || !stats) return;
    recording.heard = { reason: outcome.reason, cause: outcome.cause, bytes: stats.bytes };
    const tell = () => recording.span.setAttributes(sent(call, outcome, settings));
    settings.safely('the end of a span', tell, undefined);
  }
}

/** The headers and trailers of ours that may be told. */
function sent(call: Call, { metadata }: Outcome, settings: Settings): Attributes {
  const { responseHeaders, responseTrailers } = settings;
  return {
    ...(responseHeaders.length && metadataAttributes(names.responseHeader, responseHeaders, call.header)),
    ...(responseTrailers.length &&
      metadataAttributes(names.responseTrailer, responseTrailers, call.trailer, metadata)),
  };
}
