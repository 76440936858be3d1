import { checkDuration, checkFunction, checkInteger, checkOptions } from './check.ts';
import { insideOf } from './inside.ts';
import { makes, middleware } from './made.ts';
import { printError } from './report.ts';
import type { ConfigureOptions, Settings } from './settings.ts';
import type { Call, Middleware } from './types.ts';

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
