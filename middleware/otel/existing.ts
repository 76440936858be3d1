import { context, isSpanContextValid, type Span, SpanKind, trace } from '@opentelemetry/api';
import { expected } from '../../lib/check.ts';
import type { Safely } from './guard.ts';

/**
 * The span that somebody else made for this call, such as `@opentelemetry/instrumentation-grpc`: a local one of
 * kind SERVER that is active as the handler starts. One that is not sampled tells no kind.
 */
export function existingSpan(): Span | undefined {
  const span = trace.getSpan(context.active());
  if (span === undefined || span.spanContext().isRemote || !isSpanContextValid(span.spanContext()))
    return undefined;
  return !span.isRecording() || (span as { kind?: SpanKind }).kind === SpanKind.SERVER ? span : undefined;
}

/**
 * Takes over the end of a span that somebody else made; returns how to end it. Instrumentation ends its own
 * before the status is known, and where a stream is cut off, never: its end is held back until all is told,
 * and given where it does not come.
 */
export function takeOver(span: Span, safely: Safely): () => void {
  const { end } = span;
  let asked = false;
  let told = false;
  let ended = false;
  const close = () => {
    if (!ended) safely('the end of a span', () => end.call(span), undefined);
    ended = true;
  };
  span.end = () => {
    asked = true;
    if (told) close();
  };
  return () => {
    told = true;
    if (asked) close();
    else setImmediate(close);
  };
}

/** The methods of a definition, by the names that instrumentation might know them by. */
function methodsOf(definition: object): string[] {
  if (typeof definition !== 'object' || definition === null)
    throw expected('definition', 'a service definition', definition);
  const names: string[] = [];
  for (const { path } of Object.values(definition))
    if (typeof path === 'string') names.push(path.slice(path.lastIndexOf('/') + 1).toLowerCase());
  return names;
}

/**
 * Keeps `@opentelemetry/instrumentation-grpc` away from the methods of these services, so that the spans of
 * `tracing()` are the only ones. Instrumentation goes by the bare name of a method, on clients as
 * well: calls that this process makes to methods of the same name are not instrumented either.
 *
 * @example
 * new GrpcInstrumentation({ ignoreGrpcMethods: [ignoreGrpcMethods(NumberService.service)] });
 * @throws TypeError when something given is no definition.
 */
export function ignoreGrpcMethods(...definitions: readonly object[]): (name: string) => boolean {
  const ours = new Set(definitions.flatMap(methodsOf));
  return name => ours.has(name.toLowerCase());
}
