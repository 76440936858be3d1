import { checkOptions, expected, isPlain, isThenable, show } from '../check.ts';
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
  checkPart('start', start, name);
  checkPart('message', message, name);
  checkPart('end', end, name);
  checkPart('ready', ready, name);
  return returned;
}

function mistakeOf(returned: unknown, name: string): TypeError {
  const hint = name && typeof returned === 'function' ? `: it may have to be called, \`${name}()\`` : '';
  const what = 'a function that returns a layer or nothing';
  return expected('a middleware', what, returned, `${ofName(name)}${hint}`);
}

function checkPart(part: keyof Layer<unknown>, value: unknown, name: string): void {
  if (value === undefined || value === null || typeof value === 'function') return;
  throw expected(`layer.${part}`, 'a function', value, ofName(name));
}

/** Whose it is, where that has a name. */
function ofName(name: string): string {
  return name && `, of \`${name}\``;
}

/**
 * What a layer answers that is asked whether the next message may come.
 * @throws TypeError when that is neither nothing nor a promise: true and false both seem to make sense.
 */
export function holdOf(layer: Layer<unknown>): PromiseLike<void> | undefined {
  const answer: unknown = layer.ready?.();
  if (answer === undefined || answer === null) return undefined;
  if (isThenable(answer)) return answer as PromiseLike<void>;
  throw new TypeError(`Expected \`ready()\` to return nothing or a promise, got ${show(answer)}`);
}

/** Asks all, outermost first, and waits for all that answer with a promise. */
export function holdOfAll(layers: readonly Layer<unknown>[]): Promise<void> | undefined {
  const pending: PromiseLike<void>[] = [];
  for (const layer of layers) {
    try {
      const hold = holdOf(layer);
      if (hold) pending.push(hold);
    } catch (error) {
      pending.push(Promise.reject(error));
    }
  }
  return pending.length ? Promise.all(pending).then(() => {}) : undefined;
}
