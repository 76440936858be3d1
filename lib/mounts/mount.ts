import { types } from 'node:util';
import type { MethodDefinition, Server, ServiceDefinition, UntypedHandleCall } from '@grpc/grpc-js';
import { listOf } from '../call/compose.ts';
import { checkFunction, checkMiddleware, expected, isPlain, show } from '../check.ts';
import { checkPlace } from '../kinds.ts';
import { nearest } from '../nearest.ts';
import { inPlaceOf } from '../run/code.ts';
import type { Answer, Call, Method, Middleware, Requests, Source } from '../types.ts';
import type { Serialize } from '../wire/port.ts';
import type { Names, RequestOf, ResponseOf, ResponsesOf, ServiceFor, ServiceOf } from './definition.ts';
import { checkCallable, checkMethod } from './hand-written.ts';
import {
  type AnyHandler,
  isGenerator,
  type Made,
  type Mounted,
  type MountedAnswer,
  mark,
  partsOf,
} from './handler.ts';
import { handle } from './produce.ts';
import { serviceOf } from './service.ts';
import { wrapHandler } from './wrap.ts';

/**
 * What stands for one method. Where the definition says of which kind the method is (ts-proto), only that kind
 * is taken; where it does not (proto-loader, grpc-tools), its request is either, and its answer, too.
 */
type Implementation<M> = M extends { requestStream: infer In; responseStream: infer Out }
  ? [boolean, boolean] extends [In, Out]
    ? AnyKind<RequestOf<M>, ResponseOf<M>>
    : OfKind<[In] extends [true] ? Requests<RequestOf<M>> : RequestOf<M>, ResponseOf<M>, Out>
  : never;

type OfKind<Req, Res, Out> = [Out] extends [true]
  ? Method<Req, Res> | Mounted<Req, Res>
  : Answer<Req, Res> | MountedAnswer<Req, Res> | Plain;

/** One type of function: of a union, nothing would be known of the parameters. */
type AnyKind<Req, Res> =
  | ((
      request: Req & Requests<Req>,
      call: Call<Req & Requests<Req>>,
    ) => Source<Res> | Res | Promise<Source<Res> | Res>)
  | Mounted<Req, Res>
  | Mounted<Requests<Req>, Res>
  | MountedAnswer<Req, Res>
  | MountedAnswer<Requests<Req>, Res>
  | Plain;

/** The method that goes by a name: its own, or its camelCase. */
type MethodOf<S, Name> =
  Name extends Names<S>
    ? S[Name]
    : { [K in Names<S>]: Name extends Uncapitalize<K> ? S[K] : never }[Names<S>];

/**
 * One entry per method, by the name in the .proto or its camelCase; a method left out answers UNIMPLEMENTED.
 * `D` is a definition, a client class that has one, or the type of the handlers that a generator made for it.
 */
export type Methods<D> = ByName<ServiceOf<D>>;

/** One mapped type without `as`: in any other, a source by the camelCase of its name has no types of its own. */
type ByName<S> = [Names<S>] extends [never]
  ? UntypedSources
  : [S] extends [string]
    ? S
    : { [Name in Names<S> | Uncapitalize<Names<S>>]?: Implementation<MethodOf<S, Name>> };

/** For a definition that names no methods, such as that of a client which was loaded without types. */
type UntypedSources = Record<string, AnyKind<any, any>>;

const kind: unique symbol = Symbol.for('leat.plain') as never;

/** A handler that is taken as it is, without middleware; not for server-streaming methods. */
export interface Plain {
  readonly [kind]: UntypedHandleCall;
}

/**
 * Says that a handler of grpc-js is to be registered as it is: no middleware is for it. With middleware it goes in by
 * `wrap`.
 *
 * @throws TypeError when it is not a function, or one that yields, a class or a middleware.
 */
export function plain(handler: UntypedHandleCall): Plain {
  checkFunction('handler', handler);
  checkCallable('handler', 'a handler', 'mount(server, definition, methods', handler);
  if (isGenerator(handler)) throw expected('handler', 'a handler, not a method that yields', handler);
  const plain = function (this: unknown, ...args: unknown[]) {
    return Reflect.apply(handler, this, args);
  };
  return Object.assign(plain, { [kind]: handler });
}

/** Where services are mounted: a `Server` of grpc-js, or what `web` of `leat/web` makes. */
export type Mountable = Pick<Server, 'addService'>;

/**
 * Registers a whole service, with methods of all kinds: one that yields where the response is a stream, one that
 * returns a message, or a promise of one, where it is not; where clients stream, its request is an AsyncIterable. What
 * `produce` and `wrap` made stands for a method, too: a handler with a callback goes in by `wrap`. Because it has the
 * definition, requests and messages are typed by it, and the sizes of messages are known also where an interceptor of
 * somebody else is below. Several servers get the same service, and their calls count together for its middleware.
 *
 * A client class stands for the service that its clients call. Give that of proto-loader, whose types tell the kinds
 * of the methods, which those of its `service` do not; or name the handlers, `mount<XHandlers>(server, X.service, …)`.
 *
 * @example
 * mount(server, NumberService.service, {
 *   async *listNumbers({ max }) {
 *     for (let num = 1; num <= max; num++) yield { num };
 *   },
 * }, tracing(), errors());
 * @throws TypeError when it is no definition, and then says what to give instead; when there is no such method, or a
 * value is not a function, or one for another kind of method, or was made with middleware for another kind, or shows
 * that it is a handler of grpc-js, which goes in by `wrap`.
 */
export function mount<D extends object>(
  server: Mountable | readonly Mountable[],
  definition: D | ServiceFor<D>,
  methods: Methods<D>,
  ...middleware: Middleware<any, ResponsesOf<D>>[]
): void {
  const servers = Array.isArray(server) ? (server as readonly Mountable[]) : [server as Mountable];
  if (servers.length === 0)
    throw new TypeError('Expected `server` to be a grpc.Server, or several, got none');
  for (const one of servers)
    if (typeof one?.addService !== 'function') throw expected('server', 'a grpc.Server', one);
  const defined = serviceOf(definition);
  if (typeof methods !== 'object' || methods === null)
    throw expected('methods', 'an object of methods', methods);
  checkMiddleware(middleware);
  const given = methods as Record<string, unknown>;
  checkNames(defined, given);
  const service: Record<string, MethodDefinition<unknown, unknown>> = {};
  // grpc-js would take what every object has by the name of a method that is left out.
  const implementation: Record<string, UntypedHandleCall> = Object.create(null);
  for (const [name, method] of Object.entries(defined)) {
    service[name] = method;
    const [key, value] = find(given, [name, camelCase(name), method.originalName ?? name]);
    if (value === undefined) continue;
    if (typeof value !== 'function') throw expected(`methods.${key}`, 'a method or a handler', value);
    const bare: unknown = Reflect.get(value, kind);
    if (bare !== undefined && !method.requestStream && method.responseStream)
      throw expected(`methods.${key}`, 'a method, or `wrap(handler)`, as it is server-streaming', bare);
    if (!method.responseStream && yields(value))
      throw expected(
        `methods.${key}`,
        'a method that answers with one message, as its response is no stream',
        value,
      );
    checkMethod(`methods.${key}`, 'mount(server, definition, methods', value as AnyMethod);
    checkPlace((partsOf(value)?.named ?? []).flatMap(listOf), method);
    implementation[name] = bare
      ? (bare as UntypedHandleCall).bind(methods)
      : handlerOf(value as AnyMethod, methods, middleware, method.responseSerialize);
  }
  if (Object.keys(implementation).length === 0) checkEmpty(methods, service);
  for (const one of servers) one.addService(service, implementation);
}

/** An object without a method may be on purpose, anything else is a mistake that would answer UNIMPLEMENTED for ever. */
function checkEmpty(methods: object, service: ServiceDefinition): void {
  if (isPlain(methods) && Object.values(methods).every(value => value === undefined)) return;
  const hint = types.isPromise(methods)
    ? 'give what it resolves to'
    : `the service has ${Object.keys(service).join(', ')}`;
  throw new TypeError(`Expected \`methods\` to have a method of the service, got ${show(methods)}: ${hint}`);
}

/** Whether it shows: most functions may be either. */
function yields(value: object): boolean {
  return isGenerator(partsOf(value)?.method ?? value);
}

type AnyMethod = Method<unknown, unknown> | Answer<unknown, unknown>;

function handlerOf(
  value: AnyMethod,
  sources: object,
  middleware: readonly Middleware[],
  serialize: Serialize,
): AnyHandler {
  const parts = partsOf(value);
  if (parts === undefined)
    return handle(inPlaceOf(value, value.bind(sources) as AnyMethod), middleware, { serialize });
  if (parts.method) return handle(parts.method, [...middleware, ...parts.middleware], { serialize });
  const wrapped = wrapHandler(value as AnyHandler, middleware);
  return mark(wrapped.bind(sources), partsOf(wrapped) as Made);
}

function meant(name: string, methods: ServiceDefinition): string {
  const names = Object.keys(methods).flatMap(known => [known, camelCase(known)]);
  const close = nearest(name, names);
  return close ? `did you mean \`${close}\`?` : `it has ${Object.keys(methods).join(', ')}`;
}

/** A misspelt method would answer UNIMPLEMENTED for ever. A class may have helpers beside its methods. */
function checkNames(methods: ServiceDefinition, given: Record<string, unknown>): void {
  if (Object.getPrototypeOf(given) !== Object.prototype) return;
  const known = new Set(
    Object.entries(methods).flatMap(([name, { originalName }]) => [
      name,
      camelCase(name),
      originalName ?? name,
    ]),
  );
  for (const name of Object.keys(given)) {
    if (!known.has(name))
      throw new TypeError(`Expected a method of the service, got \`${name}\`: ${meant(name, methods)}`);
  }
}

/**
 * What stands for a method, and by which of its names. What every object has by such a name, as `toString`, does
 * not stand for it.
 * @throws TypeError when there are two.
 */
function find(given: Record<string, unknown>, names: string[]): [key?: string, value?: unknown] {
  const found = names.filter(name => {
    const value = given[name];
    const inherited = name === 'constructor' && !Object.hasOwn(given, name);
    return value !== undefined && !inherited && value !== Reflect.get(Object.prototype, name);
  });
  const [first] = found;
  if (first === undefined) return [];
  const own = found.filter(name => Object.hasOwn(given, name));
  const other = own.find(name => given[name] !== given[first]);
  if (other !== undefined && own.includes(first))
    throw new TypeError(
      `Expected \`methods\` to have one of \`${first}\` and \`${other}\`, which are the same method, got both`,
    );
  return [first, given[first]];
}

function camelCase(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1);
}
