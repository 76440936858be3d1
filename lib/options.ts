import { checkDuration, checkFunction, checkInteger, checkOptions } from './check.ts';
import { insideOf } from './inside.ts';
import { makes, middleware } from './made.ts';
import { printError } from './report.ts';
import type { ConfigureOptions, Hooks, Settings } from './settings.ts';
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
  // A mount that was told nothing tells whom another one of its RPC was given, such as an interceptor around it.
  onError: (error, call) => (hooksOf(call)?.onError ?? printError)(error, call),
  onOrphan: call => (hooksOf(call)?.onOrphan ?? printOrphan)(call),
};

function hooksOf(call: Call): Hooks | undefined {
  return insideOf(call)?.rpc.hooks;
}

export function defaultSettings(): Settings {
  return defaults;
}

/**
 * Changes how calls are delivered and where errors go; stands in the list of middleware, and costs nothing
 * per message. The last one in the list, which is nearest to the method, wins. What it says of delivery is for its own
 * mount; its hooks hear of the other mounts of a call as well, where those have none.
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
  // Who asks for the defaults by name means that it is printed: they would look for themselves.
  const hooks: Hooks = {
    ...(changes.onError && { onError: onError === defaults.onError ? printError : onError }),
    ...(changes.onOrphan && { onOrphan: onOrphan === defaults.onOrphan ? printOrphan : onOrphan }),
  };
  const listens = Object.keys(hooks).length > 0;
  return middleware(function configure(call) {
    const behind = insideOf(call);
    if (!behind) return;
    behind.settings = { ...behind.settings, ...changes };
    if (listens) behind.rpc.hooks = { ...behind.rpc.hooks, ...hooks };
  });
}

makes(configure);
