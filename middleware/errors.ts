/**
 * What sources throw, as clients may read it: your errors become statuses, all others get an id and stay secret.
 * @module
 */

import { randomUUID } from 'node:crypto';
import { type Metadata, status } from '@grpc/grpc-js';
import {
  checkBoolean,
  checkFunction,
  checkMetadata,
  checkOptions,
  checkString,
  expected,
  isThenable,
} from '../lib/check.ts';
import { answerOf, isBoolean, isString } from '../lib/hooks.ts';
import { once } from '../lib/inside.ts';
import { makes, middleware } from '../lib/made.ts';
import { report } from '../lib/report.ts';
import { INTERNAL_ERROR, isErrorCode } from '../lib/status/status.ts';
import type { Call, Middleware, Outcome } from '../lib/types.ts';

/**
 * Which errors a rule is for: those of a class, those a predicate holds for, or those with this `code`: a status
 * (also that of an upstream call), or the text or number that Node, a database or a cloud gives, such as 'ENOENT'.
 */
export type ErrorMatch = ErrorClass | ((error: any, call: Call) => boolean) | number | string;

/** A class, or an abstract one, whose instances match. */
export type ErrorClass = abstract new (...args: any) => unknown;

/** A status as clients get it: a `StatusError` is one, with its rich details. */
export interface ErrorStatus {
  /** The status, from 1 to 16. */
  readonly code: status;
  /**
   * What the client reads beside the status.
   * @default the name of the status in small letters, such as 'not found'
   */
  readonly details?: string | undefined;
  /** Trailers to send with it. */
  readonly metadata?: Metadata | undefined;
}

/** What errors that match leave as; a number alone says nothing of the error itself. */
export type ErrorAnswer = status | ErrorStatus | ((error: any, call: Call) => status | ErrorStatus);

/** Which errors, and what they leave as. */
export type ErrorRule = readonly [match: ErrorMatch, answer: ErrorAnswer];

/** Which errors are which statuses, and what is said of the others. */
export interface ErrorsOptions {
  /**
   * Which errors are which statuses; the first that matches counts.
   * @default []
   */
  readonly rules?: Iterable<ErrorRule>;
  /**
   * The code of errors that no rule is for; their details are always 'internal error'.
   * @default status.UNKNOWN
   */
  readonly default?: status;
  /**
   * Whether the status of an upstream gRPC call that failed is passed on, with its details and trailers.
   * @default false
   */
  readonly forward?: boolean;
  /**
   * Makes the id of an error that no rule is for, as text that a trailer can carry; the id of the trace will do. What
   * it fails with is reported, and the id is a random one.
   * @default a random UUID
   */
  readonly makeId?: (error: unknown, call: Call) => string;
}

/**
 * Maps errors to statuses, by the first rule that matches; of an `AggregateError`, also its members are tried.
 * A `StatusError` without a rule stays as it is. Everything else leaves as 'internal error' with an id in the
 * trailer `x-error-id`, and goes to `configure({ onError })`, once, as it was thrown; `call.trailer` has the id.
 *
 * Only what a source, a layer or the wire failed with is mapped: how a client, a deadline, a limit or a shutdown
 * ended a call stays, and so does `CANCELLED`. Under `interceptor()` errors of handlers arrive as statuses: rules
 * by code match them, rules by class do not. One that stands on several mounts of a call maps an error once, on
 * the innermost, where it was thrown. A predicate or an answer that fails, or is a promise, is reported, and the
 * error is one that no rule is for.
 *
 * @example
 * errors({
 *   rules: [
 *     [NotFound, status.NOT_FOUND],
 *     ['23505', { code: status.ALREADY_EXISTS, details: 'there is one already' }],
 *     [Invalid, error => new StatusError(status.INVALID_ARGUMENT, error.message, { details: [badRequest(error)] })],
 *     [error => error.name === 'TimeoutError', status.DEADLINE_EXCEEDED],
 *   ],
 * });
 * @throws TypeError when a rule or an option is not of its kind.
 */
export function errors(options: ErrorsOptions = {}): Middleware {
  // Until 0.2.0: the list of rules stood alone.
  if (Array.isArray(options)) throw new TypeError('`errors([…])` is `errors({ rules: […] })`');
  checkOptions(options, ['rules', 'default', 'forward', 'makeId']);
  const { rules = [] } = options;
  const { default: code = status.UNKNOWN, forward = false, makeId = () => randomUUID() } = options;
  if (typeof rules?.[Symbol.iterator] !== 'function') throw expected('rules', 'a list of rules', rules);
  const list = [...rules].map(compile);
  if (!isErrorCode(code)) throw expected('default', 'a status from 1 to 16', code);
  checkBoolean('forward', forward);
  checkFunction('makeId', makeId);

  const known = (outcome: Outcome, call: Call): Outcome | undefined => {
    const { cause } = outcome;
    const candidates = cause instanceof AggregateError ? [cause, ...cause.errors] : [cause];
    for (const rule of list)
      for (const error of candidates)
        if (rule.matches(error, outcome, call)) return { ...outcome, ...rule.answer(error, call) };
    if (!isUnknown(outcome)) return outcome;
    return forward ? forwarded(outcome) : undefined;
  };

  const unknown = (outcome: Outcome, call: Call): Outcome => {
    if (outcome.metadata?.get('x-error-id').length) return outcome;
    try {
      call.trailer.set('x-error-id', answerOf('makeId', 'a string', makeId(outcome.cause, call), isString));
    } catch (error) {
      report(error, call);
      call.trailer.set('x-error-id', randomUUID());
    }
    // What leaves as UNKNOWN is reported at the far end.
    if (code !== status.UNKNOWN) report(outcome.cause, call);
    return { ...outcome, code, details: INTERNAL_ERROR, metadata: undefined };
  };

  return middleware(function errors(call) {
    return {
      end(outcome) {
        if (outcome.reason !== 'error' || outcome.code === status.CANCELLED) return;
        if (!once(call, errors)) return;
        let mapped: Outcome | undefined;
        try {
          mapped = known(outcome, call);
        } catch (error) {
          report(error, call);
        }
        return mapped ?? unknown(outcome, call);
      },
    };
  });
}

makes(errors);

interface Rule {
  matches(error: unknown, outcome: Outcome, call: Call): boolean;
  answer(error: unknown, call: Call): Pick<Outcome, 'code' | 'details' | 'metadata'>;
}

function compile(rule: ErrorRule, index: number): Rule {
  const name = `rules[${index}]`;
  if (!Array.isArray(rule as unknown)) throw expected(name, 'a pair of what matches and the answer', rule);
  const [match, answer] = rule;
  if (!['function', 'number', 'string'].includes(typeof match))
    throw expected(`${name}[0]`, 'a class, a predicate or a code', match);
  const constant = typeof answer === 'function' ? undefined : complete(answer, `${name}[1]`);
  if (typeof answer === 'object') checkOptions(answer, ['code', 'details', 'metadata'], `${name}[1]`);
  return {
    matches: matcher(match, `${name}[0]`),
    answer: (error, call) => {
      if (constant) return constant;
      const given = (answer as (error: unknown, call: Call) => ErrorStatus)(error, call);
      return complete(answerOf(`${name}[1]`, 'a status', given, isAnswer), `${name}[1]`);
    },
  };
}

function isAnswer(answer: unknown): answer is status | ErrorStatus {
  return typeof answer === 'number' || (typeof answer === 'object' && answer !== null);
}

function matcher(match: ErrorMatch, name: string): Rule['matches'] {
  if (typeof match !== 'function')
    return (error, outcome) => outcome.code === match || (error as { code?: unknown } | null)?.code === match;
  if (isClass(match)) return error => error instanceof match;
  return (error, _outcome, call) => {
    const answer = (match as (error: unknown, call: Call) => boolean)(error, call);
    // Whatever is true will do, but a promise always is.
    return Boolean(isThenable(answer) ? answerOf(name, 'a boolean', answer, isBoolean) : answer);
  };
}

/** The prototype of a class cannot be replaced, that of a function can; classes of old inherit from `Error`. */
function isClass(match: object): match is ErrorClass {
  const own = Object.getOwnPropertyDescriptor(match, 'prototype');
  return own !== undefined && (own.writable === false || own.value instanceof Error);
}

function complete(answer: status | ErrorStatus, name: string): ReturnType<Rule['answer']> {
  const given: Partial<ErrorStatus> | null = typeof answer === 'number' ? { code: answer } : answer;
  const code = given?.code;
  if (!given || !isErrorCode(code))
    throw expected(name, 'a status from 1 to 16, or an object with one', code ?? answer);
  const { metadata, details = (status[code] as string).toLowerCase().replaceAll('_', ' ') } = given;
  checkString(`${name}.details`, details);
  if (metadata !== undefined) checkMetadata(`${name}.metadata`, metadata);
  return { code, details, metadata };
}

/** Whether the core saw nothing in the error that was meant for the client. */
function isUnknown({ code, details }: Outcome): boolean {
  return code === status.UNKNOWN && details === INTERNAL_ERROR;
}

/** An unknown error that has a code and details is the status of somebody else. */
function forwarded(outcome: Outcome): Outcome | undefined {
  const { code, details, metadata } = (outcome.cause ?? {}) as Partial<ErrorStatus>;
  return isErrorCode(code) && typeof details === 'string'
    ? { ...outcome, code, details, metadata }
    : undefined;
}
