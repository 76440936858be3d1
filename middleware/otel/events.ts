import * as api from '@opentelemetry/api';
import { scope } from './scope.ts';

/** What events of ours tell: no more types than a log record takes in every version of the API. */
export type EventAttributes = Record<string, string | number>;

/** The part of a logger of OpenTelemetry that is used. */
export interface LoggerLike {
  /** Takes a record. */
  emit(record: {
    eventName: string;
    severityNumber: number;
    severityText: string;
    attributes: EventAttributes;
    context: api.Context;
  }): void;
  /** Whether a record would be taken; when there is no such function, it is. */
  enabled?(options?: object): boolean;
}

/** What makes loggers: `logs` of `@opentelemetry/api` 1.10, or of `@opentelemetry/api-logs` before it. */
export interface LoggerProviderLike {
  /** The logger of a scope. */
  getLogger(name: string, version?: string, options?: { schemaUrl?: string }): LoggerLike;
}

export type Severity = 'INFO' | 'ERROR';

/** The number that a severity has in the data model of logs. */
const NUMBERS: Record<Severity, number> = { INFO: 9, ERROR: 17 };

/** Sends an event as a log record; tells whether somebody takes it. */
export function emitEvent(
  provider: LoggerProviderLike | undefined,
  eventName: string,
  severityText: Severity,
  attributes: EventAttributes,
  context: api.Context,
): boolean {
  const { logs } = api as { logs?: LoggerProviderLike };
  const logger = (provider ?? logs)?.getLogger(scope.name, scope.version, { schemaUrl: scope.schemaUrl });
  if (!logger || logger.enabled?.({ context, eventName }) === false) return false;
  logger.emit({ eventName, severityNumber: NUMBERS[severityText], severityText, attributes, context });
  return true;
}
