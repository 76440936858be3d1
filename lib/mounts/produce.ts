import { ServerCall } from '../call/call.ts';
import { compose, listOf } from '../call/compose.ts';
import { checkFunction, checkMiddleware, expected } from '../check.ts';
import { isOver } from '../grpc-js/below.ts';
import { askOf, type Incoming, isRead, kindOf, receive } from '../grpc-js/incoming.ts';
import {
  AnswerPort,
  type AnyStream,
  type Callback,
  CallbackPort,
  givenPort,
  isWayOfStream,
  linkOf,
  StreamPort,
} from '../grpc-js/ports.ts';
import { placeWatch } from '../kinds.ts';
import { answer } from '../run/answer.ts';
import { pump } from '../run/pump.ts';
import { Inbox } from '../run/requests.ts';
import type { Answer, Method, Middleware } from '../types.ts';
import type { Port, Serialize } from '../wire/port.ts';
import { checkMethod } from './hand-written.ts';
import { type AnswerHandler, type AnyHandler, type Handler, mark, partsOf } from './handler.ts';

/**
 * Makes a method a handler of grpc-js, to be used in any `server.addService`: of the kind of the method that it is
 * registered for. One that yields serves server-streaming and bidirectional methods, one that answers with a message
 * the others. What the method throws ends the call: a `StatusError` as it says, anything else as `UNKNOWN`.
 *
 * @example
 * server.addService(NumberService.service, {
 *   listNumbers: produce(async function* ({ max }) {
 *     for (let num = 1; num <= max; num++) yield { num };
 *   }),
 * });
 * @throws TypeError when `method` or a middleware is not a function, or shows that it is a handler of grpc-js, a class or
 * a middleware.
 */
export function produce<Req, Res>(
  method: Method<Req, Res>,
  ...middleware: Middleware<Req, Res>[]
): Handler<Req, Res>;
export function produce<Req, Res>(
  method: Answer<Req, Res>,
  ...middleware: Middleware<Req, Res>[]
): AnswerHandler<Req, Res>;
export function produce(method: Method<any, any> | Answer<any, any>, ...middleware: Middleware[]): unknown {
  checkFunction('method', method);
  if (partsOf(method))
    throw expected('method', 'a method, not a handler that `produce` or `wrap` made of one', method);
  checkMethod('method', 'produce(method', method);
  checkMiddleware(middleware);
  return handle(method, middleware, { named: middleware });
}

interface Handling {
  /** Tells the sizes of messages where others encode them. */
  readonly serialize?: Serialize;
  /** Those of the middleware that stand on this method by name. */
  readonly named?: readonly Middleware[];
}

/** The handler of a method, of the kind by which grpc-js calls it. */
export function handle<Req, Res>(
  method: Method<Req, Res> | Answer<Req, Res>,
  middleware: readonly Middleware[],
  { serialize, named = [] }: Handling = {},
): AnyHandler {
  const layers = compose(...middleware);
  const placed = placeWatch(named.flatMap(listOf));
  function produced(stream: AnyStream, callback?: Callback): void {
    if (stream.cancelled || isOver(linkOf(stream))) return;
    const inbox = isRead(stream) ? inboxOf(stream) : undefined;
    const request = (inbox ?? stream.request) as Req;
    const port = portTo(stream, callback, serialize);
    const call = new ServerCall(stream, request, port, kindOf(stream, callback));
    inbox?.serve(call);
    const left = () => {
      // `once` would make three objects more for each call.
      stream.off('cancelled', left);
      call.clientLeft();
    };
    call.begin(layers, () => {
      placed?.(call.view);
      if (callback === undefined) void pump(call, method as Method<Req, Res>);
      else answer(call, method as Answer<Req, Res>);
    });
    if (call.wire.done) return;
    stream.on('cancelled', left);
    if (stream.cancelled) left();
  }
  return mark(produced, { method, middleware, named });
}

function inboxOf(stream: AnyStream & Incoming): Inbox<unknown> {
  const inbox = new Inbox(() => askOf(stream));
  receive(stream, inbox);
  return inbox;
}

function portTo(stream: AnyStream, callback: Callback | undefined, serialize: Serialize | undefined): Port {
  const given = givenPort(stream);
  if (given) return given;
  if (callback === undefined) return new StreamPort(stream, serialize);
  return isWayOfStream(stream, callback)
    ? new AnswerPort(stream, serialize)
    : new CallbackPort(stream, callback, serialize);
}
