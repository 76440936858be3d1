import type { handleServerStreamingCall } from '@grpc/grpc-js';
import { ServerCall } from '../call/call.ts';
import { compose } from '../call/compose.ts';
import { checkFunction, checkMiddleware } from '../check.ts';
import { isOver } from '../grpc-js/below.ts';
import { givenPort, linkOf, StreamPort } from '../grpc-js/ports.ts';
import { pump } from '../run/pump.ts';
import type { Method, Middleware } from '../types.ts';
import type { Serialize } from '../wire/port.ts';
import { type Handler, mark } from './handler.ts';

/**
 * Makes a method a server-streaming handler of grpc-js, to be used in any `server.addService`.
 * What the method or its source throws ends the call: a `StatusError` as it says, anything else as `UNKNOWN`.
 *
 * @example
 * server.addService(NumberService.service, {
 *   listNumbers: produce(async function* ({ max }) {
 *     for (let num = 1; num <= max; num++) yield { num };
 *   }),
 * });
 * @throws TypeError when `source` or a middleware is not a function.
 */
export function produce<Req, Res>(
  source: Method<Req, Res>,
  ...middleware: Middleware<Req, Res>[]
): Handler<Req, Res> {
  checkFunction('source', source);
  checkMiddleware(middleware);
  return handle(source, middleware);
}

/** The handler of a method; `serialize` tells the sizes of its messages where others encode them. */
export function handle<Req, Res>(
  source: Method<Req, Res>,
  middleware: readonly Middleware[],
  serialize?: Serialize,
): Handler<Req, Res> {
  const layers = compose(...middleware);
  const produced: handleServerStreamingCall<Req, Res> = function produced(stream) {
    if (stream.cancelled || isOver(linkOf(stream))) return;
    const port = givenPort(stream) ?? new StreamPort(stream, serialize);
    const call = new ServerCall<Req>(stream, stream.request, port);
    stream.once('cancelled', () => call.clientLeft());
    call.begin(layers, () => void pump(call, source));
  };
  return mark(produced, { source, middleware });
}
