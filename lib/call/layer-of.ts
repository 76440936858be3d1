import { checkFunction, checkOptions, expected, isPlain } from '../check.ts';
import type { Layer, Middleware } from '../types.ts';

/** What does nothing: most calls without middleware share it. */
export const NO_LAYER: Layer<unknown> = Object.freeze({});

const PARTS = ['start', 'message', 'end', 'ready'] as const;

/**
 * What a factory returned.
 * @throws TypeError when it is no layer: a middleware whose options were forgotten returns a function, one that was
 * written for something else, a generator, whose code would not run.
 */
export function layerOf(returned: Layer<unknown> | void, { name }: Middleware): Layer<unknown> | undefined {
  if (returned === undefined || returned === null || returned === NO_LAYER) return undefined;
  if (typeof returned !== 'object') throw mistakeOf(returned, name);
  const { start, message, end, ready } = returned;
  if (!start && !message && !end && !ready) {
    if (!isPlain(returned)) throw mistakeOf(returned, name);
    // A part that is misspelt is never called.
    checkOptions(returned, PARTS, 'a layer');
  }
  if (start) checkFunction('layer.start', start);
  if (message) checkFunction('layer.message', message);
  if (end) checkFunction('layer.end', end);
  if (ready) checkFunction('layer.ready', ready);
  return returned;
}

function mistakeOf(returned: unknown, name: string): TypeError {
  const mistake = expected('a middleware', 'a function that returns a layer or nothing', returned);
  if (name) mistake.message += `, of \`${name}\``;
  if (name && typeof returned === 'function') mistake.message += `: it may have to be called, \`${name}()\``;
  return mistake;
}
