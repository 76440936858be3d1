import type {
  handleServerStreamingCall,
  ServerWritableStream,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { ServerCall } from '../call/call.ts';
import { compose } from '../call/compose.ts';
import { checkMiddleware, expected } from '../check.ts';
import { isOver } from '../grpc-js/below.ts';
import { linkOf } from '../grpc-js/ports.ts';
import type { Middleware } from '../types.ts';
import { Facade, portOf } from './facade.ts';
import { type Handler, mark, partsOf } from './handler.ts';
import { handle } from './produce.ts';

/**
 * Gives a handler, or every server-streaming handler of an implementation, middleware, guards and pipelined
 * delivery. The handler goes on writing to `call` as before: it sees the same properties and the same events,
 * what it writes too late is absorbed, and a rejection of an `async` one ends the call.
 *
 * @example
 * server.addService(NumberService.service, wrap({ listNumbers: handler }, tracing()));
 * @throws TypeError when `target` is neither, or a middleware is not a function.
 */
export function wrap<Req, Res>(
  target: handleServerStreamingCall<Req, Res>,
  ...middleware: Middleware<Req, Res>[]
): Handler<Req, Res>;
export function wrap<T extends UntypedServiceImplementation | object>(
  target: T,
  ...middleware: Middleware[]
): T;
export function wrap(target: unknown, ...middleware: Middleware[]): unknown {
  checkMiddleware(middleware);
  if (typeof target === 'function') return wrapHandler(target as AnyHandler, middleware);
  if (typeof target === 'object' && target !== null) return wrapImplementation(target, middleware);
  throw expected('target', 'a handler or an implementation', target);
}

type AnyHandler = handleServerStreamingCall<unknown, unknown>;
type AnyStream = ServerWritableStream<unknown, unknown>;

/** A handler that is already ours is taken apart and made once more: nothing is guarded twice. */
function wrapHandler(handler: AnyHandler, outer: readonly Middleware[]): AnyHandler {
  const parts = partsOf(handler);
  const middleware = [...outer, ...(parts?.middleware ?? [])];
  if (parts?.source) return handle(parts.source, middleware);
  return relayed(parts?.wrapped ?? handler, middleware);
}

/**
 * Stands for an implementation, and answers each name that grpc-js asks for with the method of that name, wrapped. The
 * methods might be own or inherited, accessors, of a module or of a Proxy; the implementation stays their `this`.
 */
function wrapImplementation(implementation: object, middleware: readonly Middleware[]): object {
  const made = new Map<unknown, unknown>();
  const wrapped = (name: PropertyKey): unknown => {
    const value: unknown = Reflect.get(implementation, name);
    if (typeof value !== 'function' || value === Reflect.get(Object.prototype, name)) return value;
    if (name === 'constructor') return value;
    const known = made.get(value);
    if (known) return known;
    const handler = (partsOf(value) ? value : value.bind(implementation)) as AnyHandler;
    const ours = wrapHandler(handler, middleware);
    made.set(value, ours);
    return ours;
  };
  return new Proxy(Object.create(Reflect.getPrototypeOf(implementation)) as object, {
    get: (own, name) => (Object.hasOwn(own, name) ? Reflect.get(own, name) : wrapped(name)),
    has: (own, name) => Object.hasOwn(own, name) || Reflect.has(implementation, name),
    ownKeys: own => [...new Set([...Reflect.ownKeys(own), ...Reflect.ownKeys(implementation)])],
    getOwnPropertyDescriptor(own, name) {
      const replaced = Reflect.getOwnPropertyDescriptor(own, name);
      const original = Reflect.getOwnPropertyDescriptor(implementation, name);
      if (replaced || !original) return replaced;
      const { enumerable = false } = original;
      return { value: wrapped(name), enumerable, configurable: true, writable: true };
    },
  });
}

function relayed(handler: AnyHandler, middleware: readonly Middleware[]): AnyHandler {
  const layers = compose(...middleware);
  function wrapped(this: unknown, stream: AnyStream, ...rest: unknown[]): void {
    if (rest.length > 0 || !isServerStream(stream)) return Reflect.apply(handler, this, [stream, ...rest]);
    if (stream.cancelled || isOver(linkOf(stream))) return;
    const call = new ServerCall(stream, stream.request, portOf(stream));
    const facade = new Facade(stream, call);
    call.begin(layers, () => facade.run(() => handler.call(this as never, stream)));
  }
  return mark(wrapped, { wrapped: handler, middleware });
}

/** In an implementation all kinds of methods stand side by side: the streams of these cannot be read from. */
function isServerStream(call: object): boolean {
  return '_write' in call && !('read' in call);
}
