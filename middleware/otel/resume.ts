import { type Context, context, isSpanContextValid, type Link, trace } from '@opentelemetry/api';

/**
 * The W3C `traceparent` of the span that is active: what to put into a resume token, so that the stream that
 * resumes this one can be linked to it. `undefined` where there is no span. It never throws.
 */
export function traceparent(from: Context = context.active()): string | undefined {
  try {
    const span = trace.getSpanContext(from);
    if (!span || !isSpanContextValid(span)) return undefined;
    const flags = span.traceFlags.toString(16).padStart(2, '0');
    return `00-${span.traceId}-${span.spanId}-${flags}`;
  } catch {
    // What is no context: `map(traceparent)` hands over an item.
    return undefined;
  }
}

/**
 * The link to the stream that a call resumes, made of the `traceparent` in its token. The new span stays in the
 * trace of its own client, however often a stream is resumed; `undefined` when the token holds none. It never throws.
 *
 * @example
 * tracing({ links: call => resumed(readToken(call.request)?.traceparent) });
 */
export function resumed(from: string | undefined): Link | undefined {
  // A token is what a client says.
  if (typeof from !== 'string') return undefined;
  const match = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/.exec(from);
  if (!match) return undefined;
  const [, traceId = '', spanId = '', flags = '0'] = match;
  const span = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return isSpanContextValid(span) ? { context: span, attributes: { [LINK_TYPE]: 'resume' } } : undefined;
}

const LINK_TYPE = 'leat.link.type';

export function isResume({ attributes }: Link): boolean {
  return attributes?.[LINK_TYPE] === 'resume';
}
