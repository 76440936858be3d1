import { checkMiddleware } from '../check.ts';
import { makes, middleware as middlewareOf } from '../made.ts';
import type { Call, Middleware, Sink } from '../types.ts';
import { Layers } from './layers.ts';
import { NO_LAYER } from './returned.ts';

/** A middleware that is a list: one that stands in another list is laid open there. */
const list: unique symbol = Symbol.for('leat.list') as never;

/**
 * Makes a list of middleware one middleware; the first is the outermost.
 *
 * @example
 * const ours = compose(tracing(), errors());
 * mount(server, NumberService.service, methods, ours);
 * @throws TypeError when one of them is not a function.
 */
export function compose<Req = any, Res = any>(
  ...middleware: readonly Middleware<Req, Res>[]
): Middleware<Req, Res> {
  checkMiddleware(middleware);
  const flat = middleware.flatMap(listOf);
  const composed = (call: Call<Req>, next: Sink<Res>) =>
    flat.length === 0 ? NO_LAYER : new Layers(call, next as Sink<unknown>).make(flat);
  return Object.assign(middlewareOf(composed), { [list]: flat });
}

makes(compose);

/** The middleware that one middleware is. */
export function listOf(middleware: Middleware): readonly Middleware[] {
  return (middleware as { [list]?: Middleware[] })[list] ?? [middleware];
}
