import { status } from '@grpc/grpc-js';
import type { Context, Span } from '@opentelemetry/api';
import { expected } from '../../lib/check.ts';
import type { StatusError } from '../../lib/status/status.ts';
import type { Outcome } from '../../lib/types.ts';
import { type EventAttributes, emitEvent, type LoggerProviderLike } from './events.ts';
import { names } from './semconv.ts';

/** Where exceptions go: to the span, to the logs, to both, or nowhere. */
export type Exceptions = 'span' | 'logs' | 'dup' | 'off';

/** The option, or what `OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN` asks for, or the span. */
export function exceptionsOf(option: Exceptions | undefined): Exceptions {
  if (option !== undefined) {
    if (['span', 'logs', 'dup', 'off'].includes(option)) return option;
    throw expected('exceptions', "'span', 'logs', 'dup' or 'off'", option);
  }
  const wanted = (process.env.OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN ?? '').split(',').map(item => item.trim());
  if (wanted.includes('logs/dup')) return 'dup';
  return wanted.includes('logs') ? 'logs' : 'span';
}

/** What was thrown, as far as it lets itself be looked at. */
export interface Exception {
  readonly type: string;
  readonly message: string;
  readonly stack: string | undefined;
}

/**
 * What was thrown that nobody expected. An error that only says how the call ended is an answer and no
 * exception, but what led to that error might be one.
 */
export function exceptionOf({ cause, code, details }: Outcome): Exception | undefined {
  try {
    const { cause: deeper, details: said, message } = (cause ?? {}) as Partial<StatusError>;
    const answer = said === details || (code !== status.UNKNOWN && message === details);
    const thrown = answer ? deeper : cause;
    return thrown === undefined ? undefined : read(thrown);
  } catch {
    return { type: typeof cause, message: 'unprintable', stack: undefined };
  }
}

function read(thrown: unknown): Exception {
  if (!(thrown instanceof Error)) return { type: typeof thrown, message: String(thrown), stack: undefined };
  return { type: String(thrown.name), message: String(thrown.message), stack: thrown.stack };
}

/** Records an exception, once, where it was asked for. */
export function recordException(
  span: Span,
  context: Context,
  exception: Exception,
  to: Exceptions,
  redact: boolean,
  logger: LoggerProviderLike | undefined,
): void {
  if (to === 'off') return;
  const logged =
    to !== 'span' && emitEvent(logger, names.exception, 'ERROR', attributesOf(exception, redact), context);
  if (to === 'logs' && logged) return;
  span.addEvent('exception', attributesOf(exception, redact));
}

function attributesOf({ type, message, stack }: Exception, redact: boolean): EventAttributes {
  if (redact) return { 'exception.type': type };
  const attributes: EventAttributes = { 'exception.type': type, 'exception.message': message };
  if (typeof stack === 'string') attributes['exception.stacktrace'] = stack;
  return attributes;
}
