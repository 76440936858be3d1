import { types } from 'node:util';
import type {
  handleBidiStreamingCall,
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { ServerCall } from '../call/call.ts';
import { compose, listOf } from '../call/compose.ts';
import { checkMiddleware, expected, isClass } from '../check.ts';
import { isOver } from '../grpc-js/below.ts';
import { kindOf } from '../grpc-js/incoming.ts';
import { type AnyStream, type Callback, linkOf } from '../grpc-js/ports.ts';
import { placeWatch } from '../kinds.ts';
import type { Middleware, Requests } from '../types.ts';
import { AnswerFacade } from './answer-facade.ts';
import type { SentBy } from './definition.ts';
import { Facade } from './facade.ts';
import { portOf } from './facade-port.ts';
import { checkCallable } from './hand-written.ts';
import {
  type AnyHandler,
  type Handler,
  isGenerator,
  type Mounted,
  type MountedAnswer,
  mark,
  partsOf,
} from './handler.ts';
import { handle } from './produce.ts';

/**
 * Gives a handler, or every handler of an implementation, middleware, guards and pipelined delivery. The handler goes
 * on writing to `call`, or calling back, as before: it sees the same properties and the same events, what it says too
 * late is absorbed, and a rejection of an `async` one ends the call.
 *
 * @example
 * server.addService(NumberService.service, wrap({ listNumbers: handler }, tracing()));
 * @throws TypeError when `target` is neither, such as a definition, a class or a middleware, or a middleware is not a
 * function, or one that was not made yet, as `tracing` for `tracing()`.
 */
export function wrap<Req, Res>(
  target: handleServerStreamingCall<Req, Res>,
  ...middleware: Middleware<Req, Res>[]
): Handler<Req, Res>;
export function wrap<Req, Res>(
  target: handleUnaryCall<Req, Res>,
  ...middleware: Middleware<Req, Res>[]
): handleUnaryCall<Req, Res> & MountedAnswer<Req, Res>;
export function wrap<Req, Res>(
  target: handleClientStreamingCall<Req, Res>,
  ...middleware: Middleware<undefined, Res>[]
): handleClientStreamingCall<Req, Res> & MountedAnswer<Requests<Req>, Res>;
export function wrap<Req, Res>(
  target: handleBidiStreamingCall<Req, Res>,
  ...middleware: Middleware<undefined, Res>[]
): handleBidiStreamingCall<Req, Res> & Mounted<Requests<Req>, Res>;
export function wrap<T extends UntypedServiceImplementation | object>(
  target: T,
  ...middleware: Middleware<any, SentBy<T>>[]
): T;
export function wrap(target: unknown, ...middleware: Middleware[]): unknown {
  checkMiddleware(middleware);
  if (typeof target === 'function') return wrapHandler(target as AnyHandler, middleware, middleware);
  if (typeof target === 'object' && target !== null) return wrapImplementation(target, middleware);
  throw expected('target', 'a handler or an implementation', target);
}

/**
 * A handler that is already ours is taken apart and made once more: nothing is guarded twice. `outerNamed` are
 * those of `outer` that are not for a whole service.
 */
export function wrapHandler(
  handler: AnyHandler,
  outer: readonly Middleware[],
  outerNamed: readonly Middleware[] = [],
): AnyHandler {
  checkHandler(handler);
  const parts = partsOf(handler);
  const middleware = [...outer, ...(parts?.middleware ?? [])];
  const named = [...outerNamed, ...(parts?.named ?? [])];
  if (parts?.method) return handle(parts.method, middleware, { named });
  if (isGenerator(handler)) throw expected('target', 'a handler, not a method that yields', handler);
  return relayed(parts?.wrapped ?? handler, middleware, named);
}

function checkHandler(handler: AnyHandler): void {
  const { name } = handler;
  if (isClass(handler))
    throw new TypeError(
      `Expected \`target\` to be a handler or an implementation, got the class \`${name}\`: give an instance, \`new ${name}()\``,
    );
  checkCallable('target', 'a handler', 'wrap(handler', handler);
}

/** As far as it shows without asking accessors. */
function checkImplementation(target: object): void {
  if (types.isPromise(target) || Array.isArray(target))
    throw expected('target', 'a handler or an implementation', target);
  for (const { value } of Object.values(Object.getOwnPropertyDescriptors(target)))
    if (typeof value?.path === 'string' && typeof value.requestStream === 'boolean')
      throw new TypeError(
        `Expected \`target\` to be a handler or an implementation, got the definition of \`${value.path}\`: \`wrap\` takes what answers its methods`,
      );
}

/**
 * Stands for an implementation, and answers each name that grpc-js asks for with the method of that name, wrapped. The
 * methods might be own or inherited, accessors, of a module or of a Proxy; the implementation stays their `this`.
 */
function wrapImplementation(implementation: object, middleware: readonly Middleware[]): object {
  checkImplementation(implementation);
  const made = new Map<unknown, unknown>();
  const wrapped = (name: PropertyKey): unknown => {
    const value: unknown = Reflect.get(implementation, name);
    if (typeof value !== 'function' || value === Reflect.get(Object.prototype, name)) return value;
    if (name === 'constructor') return value;
    const known = made.get(value);
    if (known) return known;
    if (isGenerator(value))
      throw expected(`target.${String(name)}`, 'a handler, not a method that yields', value);
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

function relayed(
  handler: AnyHandler,
  middleware: readonly Middleware[],
  named: readonly Middleware[],
): AnyHandler {
  const layers = compose(...middleware);
  const placed = placeWatch(named.flatMap(listOf));
  function wrapped(this: unknown, stream: AnyStream, callback?: Callback): void {
    if (stream.cancelled || isOver(linkOf(stream))) return;
    const port = portOf(stream, callback);
    const call = new ServerCall(stream, stream.request, port, kindOf(stream, callback));
    const facade = callback ? new AnswerFacade(stream, call) : new Facade(stream, call);
    call.begin(layers, () => {
      placed?.(call.view);
      facade.run(handler, this);
    });
  }
  return mark(wrapped, { wrapped: handler, middleware, named });
}
