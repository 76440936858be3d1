import type { MethodDefinition, Server, ServiceDefinition, UntypedHandleCall } from '@grpc/grpc-js';
import { listOf } from '../call/compose.ts';
import { checkFunction, checkMiddleware, expected } from '../check.ts';
import { checkPlace } from '../kinds.ts';
import { nearest } from '../nearest.ts';
import type { Answer, Call, Method, Middleware, Requests, Source } from '../types.ts';
import type { Serialize } from '../wire/port.ts';
import { type AnyHandler, type Mounted, type MountedAnswer, partsOf } from './handler.ts';
import { handle } from './produce.ts';
import { isGenerator, wrapHandler } from './wrap.ts';

/** The request and the response of a method, as its definition has them on the server. */
type RequestOf<M> = M extends { requestDeserialize: (bytes: Buffer) => infer Req } ? Req : never;
type ResponseOf<M> = M extends { responseSerialize: (message: infer Res) => Buffer } ? Res : never;

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

/** The methods a definition names, without the index signature that generated definitions inherit. */
type Names<D> = keyof { [K in keyof D as string extends K ? never : K]: D[K] } & string;

/** The method that goes by a name: its own, or its camelCase. */
type MethodOf<D, Name> =
  Name extends Names<D>
    ? D[Name]
    : { [K in Names<D>]: Name extends Uncapitalize<K> ? D[K] : never }[Names<D>];

/**
 * One entry per method, by the name in the .proto or its camelCase; a method left out answers UNIMPLEMENTED.
 * One mapped type without `as`: in any other, a source by the camelCase of its name has no types of its own.
 */
export type Methods<D> = [Names<D>] extends [never]
  ? UntypedSources
  : { [Name in Names<D> | Uncapitalize<Names<D>>]?: Implementation<MethodOf<D, Name>> };

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
 * @throws TypeError when it is not a function.
 */
export function plain(handler: UntypedHandleCall): Plain {
  checkFunction('handler', handler);
  const plain = function (this: unknown, ...args: unknown[]) {
    return Reflect.apply(handler, this, args);
  };
  return Object.assign(plain, { [kind]: handler });
}

/**
 * Registers a whole service, with methods of all kinds: one that yields where the response is a stream, one that
 * returns a message, or a promise of one, where it is not; where clients stream, its request is an AsyncIterable. What
 * `produce` and `wrap` made stands for a method, too: a handler with a callback goes in by `wrap`. Because it has the
 * definition, requests and messages are typed by it, and the sizes of messages are known also where an interceptor of
 * somebody else is below.
 *
 * @example
 * mount(server, NumberService.service, {
 *   async *listNumbers({ max }) {
 *     for (let num = 1; num <= max; num++) yield { num };
 *   },
 * }, tracing(), errors());
 * @throws TypeError when there is no such method, or a value is not a function, or one for another kind of method, or
 * was made with middleware for another kind.
 */
export function mount<D>(
  server: Server,
  definition: D,
  methods: Methods<D>,
  ...middleware: Middleware[]
): void {
  if (typeof server?.addService !== 'function') throw expected('server', 'a grpc.Server', server);
  if (typeof definition !== 'object' || definition === null)
    throw expected('definition', 'a service definition', definition);
  if (typeof methods !== 'object' || methods === null)
    throw expected('methods', 'an object of methods', methods);
  checkMiddleware(middleware);
  const defined = definition as unknown as ServiceDefinition;
  const given = methods as Record<string, unknown>;
  checkNames(defined, given);
  const service: Record<string, MethodDefinition<unknown, unknown>> = {};
  const implementation: Record<string, UntypedHandleCall> = {};
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
    checkPlace((partsOf(value)?.named ?? []).flatMap(listOf), method);
    implementation[name] = bare
      ? (bare as UntypedHandleCall).bind(methods)
      : handlerOf(value as AnyMethod, methods, middleware, method.responseSerialize);
  }
  server.addService(service, implementation);
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
  if (parts === undefined) return handle(value.bind(sources) as AnyMethod, middleware, { serialize });
  if (parts.method) return handle(parts.method, [...middleware, ...parts.middleware], { serialize });
  return wrapHandler(value as AnyHandler, middleware).bind(sources);
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
 */
function find(given: Record<string, unknown>, names: string[]): [key?: string, value?: unknown] {
  for (const name of names) {
    const inherited = name === 'constructor' && !Object.hasOwn(given, name);
    const value = given[name];
    if (value !== undefined && !inherited && value !== Reflect.get(Object.prototype, name))
      return [name, value];
  }
  return [];
}

function camelCase(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1);
}
