import { context, diag, type Tracer } from '@opentelemetry/api';
import { makes, middleware } from '../lib/made.ts';
import type { Call, Layer, Middleware } from '../lib/types.ts';
import { existingSpan, takeOver } from './otel/existing.ts';
import { Follower, Recording } from './otel/recording.ts';
import { isResume } from './otel/resume.ts';
import { attributesFrom, isOfInterest, PerCall } from './otel/scope.ts';
import { methodOf } from './otel/semconv.ts';
import { callAttributes, childSpan, type Opened, serverSpan } from './otel/span.ts';
import { tracers } from './otel/tracer.ts';
import { type Settings, settle, type TracingOptions } from './otel/tracing-options.ts';

export type { LoggerLike, LoggerProviderLike } from './otel/events.ts';
export type { Exceptions } from './otel/exceptions.ts';
export { ignoreGrpcMethods } from './otel/existing.ts';
export { deadlineIsNotError, type IsError } from './otel/failure.ts';
export { resumed, traceparent } from './otel/resume.ts';
export type { Semconv } from './otel/semconv.ts';
export type { TracingOptions } from './otel/tracing-options.ts';

/**
 * One OpenTelemetry span of kind SERVER per call, from its start to its end, whatever ends it. It follows the
 * semantic conventions for gRPC, is a child of the client's span, and is active in the whole source, `finally`
 * included. What the stream sent and waited for is added at the end; nothing is done per message.
 *
 * Stands first in the list, so that it sees the status that is sent, and before `metrics()`. Without an SDK of
 * OpenTelemetry it does nothing. A span that is open when the SDK is shut down is lost: drain the server first.
 * A call that no handler was started for, since there is none or an interceptor answered, has no span, nor have
 * those of `grpc.health.v1.Health` and `grpc.reflection`; `only(match, tracing())` picks among the others.
 *
 * @example
 * mount(server, NumberService.service, sources, tracing(), metrics());
 * drainOn(server, { after: () => sdk.shutdown() });
 * @throws TypeError when an option is out of its range.
 */
export function tracing(options: TracingOptions = {}): Middleware {
  const settings = settle(options);
  const { safely } = settings;
  const tracerOf = tracers(settings.tracerProvider);
  const record = (call: Call): Layer<unknown> | undefined => {
    const tracer = tracerOf();
    return tracer && (follow(call, settings) ?? open(call, settings, tracer));
  };
  return middleware(function tracing(call) {
    if (!isOfInterest(call)) return undefined;
    return safely('a span', () => record(call), undefined);
  });
}

makes(tracing);

/** The recordings of calls in progress: who comes second, on another mount, adds to the first. */
const recordings: PerCall<Recording> = new PerCall('leat.span');

function follow(call: Call, settings: Settings): Layer<unknown> | undefined {
  const recording = recordings.get(call);
  return recording && !recording.over ? new Follower(recording, call, settings) : undefined;
}

function open(call: Call, settings: Settings, tracer: Tracer): Layer<unknown> {
  const { safely, semconv, spanAttributes } = settings;
  const links = safely('links', () => settings.links(call), []);
  const attributes = callAttributes(call, semconv, settings.requestHeaders);
  Object.assign(attributes, attributesFrom('spanAttributes', spanAttributes, call, safely));
  if (links.some(isResume)) attributes['leat.stream.resumed'] = true;
  const span = existingSpan();
  let opened: Opened;
  if (span && settings.existingSpan === 'enrich') {
    span.setAttributes(attributes);
    if (links.length > 0) span.addLinks([...links]);
    if (settings.renameExisting) span.updateName(methodOf(call.path));
    opened = { span, context: context.active() };
  } else if (span && settings.existingSpan === 'child') {
    opened = childSpan(tracer, call, attributes, links);
  } else {
    if (span) warnOfSecondSpan();
    const isPublic = safely('publicEndpoint', () => settings.isPublic(call), true);
    opened = serverSpan(tracer, call, semconv, attributes, links, isPublic);
  }
  const close = opened.span === span ? takeOver(span, safely) : () => opened.span.end();
  const recording = new Recording(opened, close, call, settings, tracer);
  recordings.set(call, recording);
  return recording;
}

let warned = false;

function warnOfSecondSpan(): void {
  if (!warned) diag.warn('leat tracing: each call has a second span of kind SERVER; see ignoreGrpcMethods');
  warned = true;
}
