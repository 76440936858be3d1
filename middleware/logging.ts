/**
 * A line when a stream, or a unary call, starts, when it has to wait for long, and when it ends.
 * @module
 */

import { status } from '@grpc/grpc-js';
import { checkBoolean, checkFunction, checkNames, checkOptions, expected } from '../lib/check.ts';
import { answerOf, survive } from '../lib/hooks.ts';
import { once } from '../lib/inside.ts';
import { makes, middleware } from '../lib/made.ts';
import { report } from '../lib/report.ts';
import { INTERNAL_ERROR } from '../lib/status/status.ts';
import { after, MAX_TIMER_MS, type Timer } from '../lib/timers.ts';
import type { Call, Middleware, Outcome } from '../lib/types.ts';

/** The methods of a logger that are used. */
export type Level = 'debug' | 'info' | 'warn' | 'error';

/** The part of a logger that is used: that of the console, of pino, of bunyan, of winston. */
export interface Logger {
  /** Writes a line of level `debug`. */
  debug(...line: any[]): unknown;
  /** Writes a line of level `info`. */
  info(...line: any[]): unknown;
  /** Writes a line of level `warn`. */
  warn(...line: any[]): unknown;
  /** Writes a line of level `error`. */
  error(...line: any[]): unknown;
}

/** Where lines go, which there are, and what is in them. */
export interface LoggingOptions {
  /**
   * Where lines go.
   * @default console
   */
  readonly logger?: Logger;
  /**
   * Whether the logger takes the fields before the text.
   * @default true for one that has `bindings` (pino) or `addSerializers` (bunyan)
   */
  readonly objectFirst?: boolean;
  /**
   * Whether there is a line for each start.
   * @default true
   */
  readonly start?: boolean;
  /**
   * How long a stream waits for its source, or for its client, until there is a line about that wait, in
   * milliseconds. Minimum 1.
   * @default no such lines
   */
  readonly slowMs?: number;
  /**
   * Names of request metadata to put into the lines; values of `-bin` ones as base64.
   * @default []
   */
  readonly metadata?: readonly string[];
  /**
   * The level of the line for an end; `undefined` for no line. What it fails with is reported once, and the line has
   * its default level.
   * @default by code for errors, deadlines and limits, as go-grpc-middleware has it; `info` for all other ends
   */
  readonly level?: (outcome: Outcome, call: Call) => Level | undefined;
  /**
   * What else to put into the lines for waits and for the end, such as what layers further in found out; asked anew for
   * each. What it fails with is reported once, and the line goes without.
   * @default nothing
   */
  readonly fields?: (call: Call) => object;
}

const LEVELS: readonly Level[] = ['debug', 'info', 'warn', 'error'];

/** What is the server's fault is an error; what might be, or says that something is full, a warning. */
const ERRORS = new Set([status.UNKNOWN, status.UNIMPLEMENTED, status.INTERNAL, status.DATA_LOSS]);
const WARNINGS = new Set([
  status.DEADLINE_EXCEEDED,
  status.PERMISSION_DENIED,
  status.RESOURCE_EXHAUSTED,
  status.FAILED_PRECONDITION,
  status.ABORTED,
  status.OUT_OF_RANGE,
  status.UNAVAILABLE,
]);

/**
 * Writes lines with path, peer, code, reason, count, bytes and duration. That a client cancels, goes away, or is
 * asked to by `drain` is no error. What an unknown error was goes to `configure({ onError })`, once; the line has
 * the id that `errors()` gave it. A logger that throws, or rejects, changes nothing. One that stands on several
 * mounts of a call writes once, as the outermost hears it; two with different loggers both write.
 *
 * @example
 * mount(server, NumberService.service, sources, logging({ logger: pino(), slowMs: 5000 }), errors());
 * @throws TypeError when an option is out of its range, or the logger has no `debug`, `info`, `warn` or `error`.
 */
export function logging(options: LoggingOptions = {}): Middleware {
  checkOptions(options, ['logger', 'objectFirst', 'start', 'slowMs', 'metadata', 'level', 'fields']);
  const { logger = console, start = true, slowMs, metadata = [], level = levelOf, fields } = options;
  if (logger === null || !['object', 'function'].includes(typeof logger))
    throw expected('logger', 'a logger', logger);
  for (const name of LEVELS) checkFunction(`logger.${name}`, logger[name]);
  const { objectFirst = 'bindings' in logger || 'addSerializers' in logger } = options;
  checkBoolean('objectFirst', objectFirst);
  checkBoolean('start', start);
  if (slowMs !== undefined) checkWait(slowMs);
  checkNames('metadata', metadata);
  checkFunction('level', level);
  if (fields !== undefined) checkFunction('fields', fields);

  const write = (at: Level, text: string, fields: object) => {
    // A logger that fails must not change how the call goes.
    survive(() => (objectFirst ? logger[at](fields, text) : logger[at](text, fields)));
  };

  const told = new Set<string>();
  /** Asks a hook; where it fails, the answer is the other one. */
  const ask = <T>(hook: string, call: Call, answer: () => T, otherwise: T): T => {
    try {
      return answer();
    } catch (error) {
      if (!told.has(hook)) report(error, call);
      told.add(hook);
      return otherwise;
    }
  };
  const levelFor = (outcome: Outcome, call: Call) =>
    ask(
      'level',
      call,
      () => answerOf('level', 'a level or nothing', level(outcome, call), isLevel),
      levelOf(outcome),
    );
  const fieldsOf = (call: Call) =>
    fields && ask('fields', call, () => ({ ...answerOf('fields', 'an object', fields(call), isObject) }), {});

  return middleware(function logging(call) {
    if (!once(call, logging)) return;
    const { stats } = call;
    const about = { path: call.path, peer: call.peer, ...allowed(call, metadata) };
    const soFar = () => ({
      messages: stats.messages,
      bytes: stats.bytes,
      durationMs: round(performance.now() - stats.startedAt),
    });
    let timer: Timer | undefined;
    let waits: number | undefined;

    const watch = (ms: number, left: number) => {
      timer = after(Math.ceil(left), () => {
        const { waiting, since } = stats;
        const told = waiting === undefined || waiting === 'layer' || since === waits;
        const waited = told ? 0 : performance.now() - since;
        if (waited < ms) return watch(ms, ms - waited);
        waits = since;
        write('warn', `${what} waits`, {
          ...fieldsOf(call),
          ...about,
          waiting,
          waitedMs: round(waited),
          ...soFar(),
        });
        watch(ms, ms);
      }).unref();
    };

    const what = call.kind === 'unary' ? 'call' : 'stream';
    if (start) write('info', `${what} started`, about);
    return {
      ...(slowMs !== undefined && {
        // Here, so that the lines belong to the span of the call.
        start(inner) {
          watch(slowMs, slowMs);
          inner();
        },
      }),
      end(outcome) {
        timer?.stop();
        const at = levelFor(outcome, call);
        if (at === undefined) return;
        const { code, reason } = outcome;
        const failure = reason === 'completed' ? undefined : failureOf(outcome, call, at);
        const known = { ...fieldsOf(call), ...about, code: status[code], reason };
        write(at, `${what} finished`, { ...known, ...failure, ...soFar() });
      },
    };
  });
}

makes(logging);

function checkWait(slowMs: unknown): void {
  if (typeof slowMs !== 'number' || !(slowMs >= 1 && slowMs <= MAX_TIMER_MS))
    throw expected('slowMs', `a number of milliseconds from 1 to ${MAX_TIMER_MS}`, slowMs);
}

function levelOf({ code, reason }: Outcome): Level {
  if (reason !== 'error' && reason !== 'deadline' && reason !== 'limit') return 'info';
  if (ERRORS.has(code)) return 'error';
  return WARNINGS.has(code) ? 'warn' : 'info';
}

function isLevel(answer: unknown): answer is Level | undefined {
  return answer === undefined || LEVELS.includes(answer as Level);
}

function isObject(answer: unknown): answer is object {
  return typeof answer === 'object' && answer !== null;
}

/** What `configure({ onError })` is told is not told twice. */
function failureOf({ details, cause, metadata }: Outcome, call: Call, at: Level): object {
  const [errorId] = [...call.trailer.get('x-error-id'), ...(metadata?.get('x-error-id') ?? [])];
  const known = at === 'error' && cause !== undefined && details !== INTERNAL_ERROR;
  return { details, ...(errorId === undefined ? {} : { errorId }), ...(known ? { err: cause } : {}) };
}

function allowed(call: Call, names: readonly string[]): { metadata?: Record<string, string> } {
  const found: Record<string, string> = {};
  for (const name of names) {
    const values = call.metadata.get(name);
    if (values.length) found[name] = values.map(text).join(', ');
  }
  return Object.keys(found).length ? { metadata: found } : {};
}

function text(value: string | Buffer): string {
  return typeof value === 'string' ? value : value.toString('base64');
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
