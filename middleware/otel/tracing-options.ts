import type { Attributes, Link, TracerProvider } from '@opentelemetry/api';
import {
  checkBoolean,
  checkDuration,
  checkFunction,
  checkInteger,
  checkNames,
  checkOptions,
  expected,
} from '../../lib/check.ts';
import { answerOf, isBoolean } from '../../lib/hooks.ts';
import type { Call } from '../../lib/types.ts';
import type { LoggerProviderLike } from './events.ts';
import { type Exceptions, exceptionsOf } from './exceptions.ts';
import type { IsError } from './failure.ts';
import { guard, type Safely } from './guard.ts';
import { checkHooks, checkProvider, refuseFilter } from './scope.ts';
import { type Semconv, semconvOf } from './semconv.ts';

/** What becomes a span, and what is put on it. */
export interface TracingOptions {
  /**
   * Where spans are made.
   * @default the global provider, also one that is set later
   */
  readonly tracerProvider?: TracerProvider;
  /**
   * Which names of the semantic conventions are used.
   * @default what `OTEL_SEMCONV_STABILITY_OPT_IN` asks for with `rpc/dup` or `rpc/old`, else 'stable'
   */
  readonly semconv?: Semconv;
  /**
   * What to do with a SERVER span that is active already, such as that of `@opentelemetry/instrumentation-grpc`:
   * `enrich` it and see to its end, put a `child` of kind INTERNAL into it, or `ignore` it and make a second one.
   * An interceptor runs before instrumentation makes its span: there, or to have ours alone, `ignoreGrpcMethods`.
   * @default 'enrich'
   */
  readonly existingSpan?: 'enrich' | 'child' | 'ignore';
  /**
   * Whether a span that is enriched gets the name of the method.
   * @default false
   */
  readonly renameExisting?: boolean;
  /**
   * Whether clients are strangers: their span is linked, and does not become the parent.
   * @default false
   */
  readonly publicEndpoint?: boolean | ((call: Call) => boolean);
  /** Links of the span, such as `resumed()` to the stream that this one resumes. */
  readonly links?: (call: Call) => Link | readonly Link[] | undefined;
  /** Names of request headers to put on the span. Only what is named is: headers might hold secrets. */
  readonly requestHeaders?: readonly string[];
  /** Names of our headers to put on the span. */
  readonly responseHeaders?: readonly string[];
  /** Names of our trailers to put on the span. */
  readonly responseTrailers?: readonly string[];
  /** More attributes, known before the stream starts, so that samplers see them. */
  readonly spanAttributes?: (call: Call) => Attributes;
  /** Whether an outcome is an error: decides the status of the span and `error.type`. Give `metrics` the same. */
  readonly isError?: IsError;
  /**
   * Where exceptions go that are no status: to the `span`, to the `logs`, to both (`dup`), or nowhere (`off`).
   * @default what `OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN` asks for with `logs` or `logs/dup`, else 'span'
   */
  readonly exceptions?: Exceptions;
  /**
   * Where log records are made, such as `logs` of `@opentelemetry/api-logs`.
   * @default the global one, where `@opentelemetry/api` has it (from 1.10)
   */
  readonly loggerProvider?: LoggerProviderLike;
  /**
   * Whether messages of errors, which might hold secrets, are left out.
   * @default false
   */
  readonly redactMessages?: boolean;
  /**
   * Says how far a stream has come while it goes on, every `intervalMs`, at least 1000: as log records, or where
   * nobody takes those, as at most `max` (32) events of the span, each twice as far from the last.
   */
  readonly progress?: { readonly intervalMs: number; readonly max?: number };
  /**
   * Cuts a stream into child spans this long, in milliseconds, each exported as it ends. Minimum 1000.
   * @default no segments
   */
  readonly segmentMs?: number;
}

/** The options, checked, with their defaults. */
export interface Settings extends Pick<TracingOptions, 'tracerProvider' | 'loggerProvider' | 'segmentMs'> {
  readonly safely: Safely;
  readonly semconv: Semconv;
  readonly existingSpan: 'enrich' | 'child' | 'ignore';
  readonly renameExisting: boolean;
  readonly isPublic: (call: Call) => boolean;
  readonly links: (call: Call) => readonly Link[];
  readonly requestHeaders: readonly string[];
  readonly responseHeaders: readonly string[];
  readonly responseTrailers: readonly string[];
  readonly spanAttributes: ((call: Call) => Attributes) | undefined;
  readonly isError: IsError | undefined;
  readonly exceptions: Exceptions;
  readonly redactMessages: boolean;
  readonly progress: { readonly intervalMs: number; readonly max: number } | undefined;
}

const NAMES = [
  ...(['tracerProvider', 'semconv', 'existingSpan', 'renameExisting', 'publicEndpoint'] as const),
  ...(['links', 'requestHeaders', 'responseHeaders', 'responseTrailers'] as const),
  ...(['spanAttributes', 'isError', 'exceptions', 'loggerProvider', 'redactMessages'] as const),
  ...(['progress', 'segmentMs'] as const),
];

export function settle(options: TracingOptions): Settings {
  refuseFilter(options, 'tracing');
  checkOptions(options, NAMES);
  const { existingSpan = 'enrich', renameExisting = false } = options;
  const { publicEndpoint = false, redactMessages = false } = options;
  const { links, spanAttributes, isError, progress, segmentMs } = options;
  if (!['enrich', 'child', 'ignore'].includes(existingSpan))
    throw expected('existingSpan', "'enrich', 'child' or 'ignore'", existingSpan);
  if (typeof publicEndpoint !== 'boolean') checkFunction('publicEndpoint', publicEndpoint);
  checkHooks({ links, spanAttributes, isError });
  checkProvider('tracerProvider', options.tracerProvider, 'getTracer');
  checkProvider('loggerProvider', options.loggerProvider, 'getLogger');
  checkBoolean('renameExisting', renameExisting);
  checkBoolean('redactMessages', redactMessages);
  if (progress !== undefined) {
    checkOptions(progress, ['intervalMs', 'max'], 'progress');
    atLeastASecond('progress.intervalMs', progress.intervalMs);
    if (progress.max !== undefined) checkInteger('progress.max', progress.max, 1);
  }
  if (segmentMs !== undefined) atLeastASecond('segmentMs', segmentMs);
  return {
    ...options,
    safely: guard('tracing'),
    semconv: semconvOf(options.semconv),
    exceptions: exceptionsOf(options.exceptions),
    existingSpan,
    renameExisting,
    isPublic: call =>
      typeof publicEndpoint === 'function'
        ? answerOf('publicEndpoint', 'a boolean', publicEndpoint(call), isBoolean)
        : publicEndpoint,
    links: call => [answerOf('links', 'links', links?.(call), areLinks) ?? []].flat(),
    requestHeaders: names('requestHeaders', options.requestHeaders),
    responseHeaders: names('responseHeaders', options.responseHeaders),
    responseTrailers: names('responseTrailers', options.responseTrailers),
    spanAttributes,
    isError,
    redactMessages,
    progress: progress && { max: 32, ...progress },
  };
}

function names(option: string, given: readonly string[] = []): readonly string[] {
  checkNames(option, given);
  return given.map(name => name.toLowerCase());
}

function areLinks(answer: unknown): answer is Link | Link[] | undefined {
  return answer === undefined || [answer].flat().every(isLink);
}

function isLink(link: unknown): link is Link {
  const { context } = (link ?? {}) as Partial<Link>;
  return typeof context === 'object' && context !== null;
}

function atLeastASecond(name: string, ms: number): void {
  checkDuration(name, ms);
  if (ms < 1000) throw expected(name, 'at least 1000 milliseconds', ms);
}
