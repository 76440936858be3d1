import { expected, isClass } from '../check.ts';
import { answerOf, isBoolean } from '../hooks.ts';
import { checkPlace } from '../kinds.ts';
import { isMiddleware, makes, middleware as middlewareOf } from '../made.ts';
import type { Call, Middleware } from '../types.ts';
import { compose, listOf } from './compose.ts';

/**
 * Applies middleware to the calls that match; the others do not pay for it.
 *
 * @example
 * only(call => call.path.startsWith('/shop.'), tracing(), metrics());
 * only(NumberService.service.listNumbers, batch());
 * @throws TypeError when `match` is neither a function nor the definition of a method, a middleware is not a function,
 * or one for streams is to be applied to a method that answers with one message. A `match` that does not answer with a
 * boolean ends its call with `UNKNOWN`.
 */
export function only<Req = any, Res = any>(
  match: ((call: Call<Req>) => boolean) | { readonly path: string; readonly responseStream?: boolean },
  ...middleware: readonly Middleware<Req, Res>[]
): Middleware<Req, Res> {
  const matches = matcherOf(match);
  const composed = compose(...middleware);
  if (typeof match !== 'function') checkPlace(listOf(composed), match);
  return middlewareOf(function only(call, next) {
    return answerOf('match', 'a boolean', matches(call), isBoolean) ? composed(call, next) : undefined;
  });
}

makes(only);

function matcherOf<Req>(match: ((call: Call<Req>) => boolean) | { readonly path: string }) {
  if (typeof match === 'function' && !isClass(match) && !isMiddleware(match)) return match;
  const path = (match as { path?: unknown } | undefined)?.path;
  if (typeof path !== 'string') throw expected('match', 'a function, or the definition of a method', match);
  return (call: Call<Req>) => call.path === path;
}
