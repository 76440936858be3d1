import type { Span, Tracer } from '@opentelemetry/api';
import { type Context, SpanKind } from '@opentelemetry/api';
import type { Stats } from '../../lib/stats.ts';
import { after, MAX_TIMER_MS, type Timer } from '../../lib/timers.ts';
import { emitEvent, type LoggerProviderLike } from './events.ts';
import type { Safely } from './guard.ts';
import { summary } from './summary.ts';

/** Timers hold no more. */

/** Something that goes on beside a stream until it ends. */
export interface Running {
  stop(): void;
}

/**
 * Says every `intervalMs` how far a stream has come: as log records, or where nobody takes those, as events of
 * its span, further and further apart and at most `max`, since spans hold a limited number.
 */
export function progress(
  { span, context }: { span: Span; context: Context },
  stats: Stats,
  { intervalMs, max }: { intervalMs: number; max: number },
  logger: LoggerProviderLike | undefined,
  safely: Safely,
): Running {
  let events = 0;
  let interval = intervalMs;
  const say = () => {
    const attributes = summary(stats);
    if (!emitEvent(logger, 'leat.stream.progress', 'INFO', attributes, context)) {
      span.addEvent('leat.stream.progress', attributes);
      events += 1;
      interval = Math.min(interval * 2, MAX_TIMER_MS);
    }
    if (events < max) arm();
  };
  let timer: Timer;
  const arm = () => {
    timer = after(interval, () => safely('progress', say, undefined)).unref();
  };
  arm();
  return { stop: () => timer.stop() };
}

/**
 * Cuts a stream into spans of `segmentMs`, each exported as it ends, below the span of the call, which arrives
 * last. Each tells the messages and bytes of its own time.
 */
export function segments(
  tracer: Tracer,
  method: string,
  context: Context,
  stats: Stats,
  segmentMs: number,
  safely: Safely,
): Running {
  let index = 0;
  let messages = 0;
  let bytes: number | undefined = 0;
  const open = () =>
    tracer.startSpan(
      `${method} segment`,
      { kind: SpanKind.INTERNAL, attributes: { 'leat.stream.segment.index': index } },
      context,
    );
  let span = open();
  const close = () => {
    span.setAttribute('leat.stream.message.count', stats.messages - messages);
    if (stats.bytes !== undefined && bytes !== undefined)
      span.setAttribute('leat.stream.size', stats.bytes - bytes);
    span.end();
    ({ messages, bytes } = stats);
  };
  const rotate = () => {
    close();
    index += 1;
    span = open();
  };
  let timer: Timer;
  const arm = () => {
    timer = after(segmentMs, () => {
      arm();
      safely('segments', rotate, undefined);
    }).unref();
  };
  arm();
  return {
    stop() {
      timer.stop();
      safely('segments', close, undefined);
    },
  };
}
