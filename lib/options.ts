import { checkDuration, checkFunction, checkInteger, checkOptions } from './check.ts';
import { insideOf } from './inside.ts';
import { makes, middleware } from './made.ts';
import { type ErrorHook, printError } from './report.ts';
import type { Call, Middleware } from './types.ts';

/** How the calls under one mount are delivered, and where their errors go. */
export interface ConfigureOptions {
  /**
   * How many messages may be handed to HTTP/2 and not yet be taken by it. More is faster until some hundreds;
   * it also bounds how long one source that never waits holds the event loop. Minimum 1.
   * @default 256
   */
  readonly maxUnackedMessages?: number;
  /**
   * How many bytes of messages may be handed to HTTP/2 and not yet be taken by it. A single message that is
   * larger goes alone. Minimum 1.
   * @default 131072
   */
  readonly maxUnackedBytes?: number;
  /**
   * How long a source, and what it returned, may take to finish once its call is over before it is reported as an
   * orphan, and a client to take the status of a call that was ended before its stream is reset; in milliseconds.
   * Minimum 0.
   * @default 1000
   */
  readonly cleanupGraceMs?: number;
  /** Hears of every error that no client may read. Prints to the console unless set. */
  readonly onError?: ErrorHook;
  /** Hears of each source that had not finished in time. Prints the first of each method unless set. */
  readonly onOrphan?: (call: Call) => void;
}

export type Settings = Required<ConfigureOptions>;

const printed = new Set<string>();

/** Prints once per method: where one source does not finish, thousands might not. */
function printOrphan(call: Call): void {
  if (printed.has(call.path)) return;
  printed.add(call.path);
  printError(
    new Error('a source has not finished, and may hold what it holds for ever; more are only counted'),
    call,
  );
}

const defaults: Settings = {
  maxUnackedMessages: 256,
  maxUnackedBytes: 131072,
  cleanupGraceMs: 1000,
  onError: printError,
  onOrphan: printOrphan,
};

export function defaultSettings(): Settings {
  return defaults;
}

/**
 * Changes how calls are delivered and where errors go; stands in the list of middleware, and costs nothing
 * per message. The last one in the list, which is nearest to the method, wins.
 *
 * @example
 * mount(server, NumberService.service, sources, configure({ onError: error => logger.error(error) }));
 * @throws TypeError when an option is out of its range.
 */
export function configure(given: ConfigureOptions): Middleware {
  checkOptions(given, ['maxUnackedMessages', 'maxUnackedBytes', 'cleanupGraceMs', 'onError', 'onOrphan']);
  const changes: ConfigureOptions = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  );
  const { maxUnackedMessages, maxUnackedBytes, cleanupGraceMs, onError, onOrphan } = {
    ...defaults,
    ...changes,
  };
  checkInteger('maxUnackedMessages', maxUnackedMessages, 1);
  checkInteger('maxUnackedBytes', maxUnackedBytes, 1);
  checkDuration('cleanupGraceMs', cleanupGraceMs);
  checkFunction('onError', onError);
  checkFunction('onOrphan', onOrphan);
  return middleware(function configure(call) {
    const behind = insideOf(call);
    if (behind) behind.settings = { ...behind.settings, ...changes };
  });
}

makes(configure);
