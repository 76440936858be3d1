import type { Metadata, MetadataValue } from '@grpc/grpc-js';
import {
  type Attributes,
  type AttributeValue,
  type Context,
  context,
  type Link,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type TextMapGetter,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { Call } from '../../lib/types.ts';
import { methodAttributes, methodOf, names, networkAttributes, type Semconv } from './semconv.ts';

/** A span of one call, and the context that its source runs in. */
export interface Opened {
  readonly span: Span;
  readonly context: Context;
}

/** What is known of a call before it starts, so that samplers see it. */
export function callAttributes(call: Call, semconv: Semconv, headers: readonly string[]): Attributes {
  return {
    ...methodAttributes(call.path, semconv),
    ...networkAttributes(call.host, call.peer),
    ...metadataAttributes(names.requestHeader, headers, call.metadata),
  };
}

/** A SERVER span below the span of the client; beside it, and linked, when the client is not to be trusted. */
export function serverSpan(
  tracer: Tracer,
  call: Call,
  semconv: Semconv,
  attributes: Attributes,
  given: readonly Link[],
  isPublic: boolean,
): Opened {
  const remote = propagation.extract(ROOT_CONTEXT, call.metadata, getter);
  const parent = trace.getSpanContext(remote);
  const links = isPublic && parent ? [...given, { context: parent }] : [...given];
  const name = methodOf(call.path);
  const span = tracer.startSpan(
    semconv === 'old' ? `grpc.${name}` : name,
    { kind: SpanKind.SERVER, attributes, links, root: isPublic },
    remote,
  );
  // What interceptors put into the context stays in it.
  const active = context.active();
  const base = active === ROOT_CONTEXT ? remote : propagation.extract(active, call.metadata, getter);
  return { span, context: trace.setSpan(base, span) };
}

/** A span inside the one that somebody else made for this call. */
export function childSpan(
  tracer: Tracer,
  call: Call,
  attributes: Attributes,
  links: readonly Link[],
): Opened {
  const parent = context.active();
  const options = { kind: SpanKind.INTERNAL, attributes, links: [...links] };
  const span = tracer.startSpan(methodOf(call.path), options, parent);
  return { span, context: trace.setSpan(parent, span) };
}

/** The entries of an allow-list, by their lower-case names. */
export function metadataAttributes(
  prefix: string,
  keys: readonly string[],
  ...sources: (Metadata | undefined)[]
): Attributes {
  const attributes: Record<string, AttributeValue> = {};
  for (const key of keys) {
    const values = sources.flatMap(source => source?.get(key) ?? []);
    if (values.length > 0) attributes[`${prefix}${key}`] = values.map(text);
  }
  return attributes;
}

function text(value: MetadataValue): string {
  return typeof value === 'string' ? value : value.toString('base64');
}

const getter: TextMapGetter<Metadata> = {
  keys: metadata => Object.keys(metadata.getMap()),
  get(metadata, key) {
    const values = metadata.get(key).filter(value => typeof value === 'string');
    return values.length > 0 ? values : undefined;
  },
};
