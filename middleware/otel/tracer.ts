import {
  type ProxyTracerProvider,
  propagation,
  type Tracer,
  type TracerProvider,
  trace,
} from '@opentelemetry/api';
import { existingSpan } from './existing.ts';
import { scope } from './scope.ts';

/**
 * Gives the tracer of a provider, or of the global one, also one that is set later. `undefined` while there is none
 * and nothing that a span could be: nobody's span to enrich, and no propagator that would hand a parent on.
 */
export function tracers(given: TracerProvider | undefined): () => Tracer | undefined {
  let made: { provider: TracerProvider; tracer: Tracer } | undefined;
  return () => {
    const provider = given ?? trace.getTracerProvider();
    if (made?.provider === provider) return made.tracer;
    const tracer = tracerOf(provider);
    if (tracer) made = { provider, tracer };
    else if (propagation.fields().length > 0 || existingSpan()) return signed(provider);
    return tracer;
  };
}

/** The tracer of an SDK: the provider of the API stands for one that might be registered later. */
function tracerOf(provider: TracerProvider): Tracer | undefined {
  const { getDelegateTracer } = provider as Partial<ProxyTracerProvider>;
  return getDelegateTracer ? getDelegateTracer.call(provider, ...signature) : signed(provider);
}

const signature = [scope.name, scope.version, { schemaUrl: scope.schemaUrl }] as const;

/** `trace.getTracer` would leave the schema out. */
function signed(provider: TracerProvider): Tracer {
  return provider.getTracer(...signature);
}
