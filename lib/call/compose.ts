import { checkMiddleware } from '../check.ts';
import type { Call, Middleware, Sink } from '../types.ts';
import { Layers } from './layers.ts';

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
  return Object.assign(
    (call: Call<Req>, next: Sink<Res>) => new Layers(call, next as Sink<unknown>).make(flat),
    {
      [list]: flat,
    },
  );
}

/** The middleware that one middleware is. */
export function listOf(middleware: Middleware): readonly Middleware[] {
  return (middleware as { [list]?: Middleware[] })[list] ?? [middleware];
}
