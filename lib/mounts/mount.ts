import type { MethodDefinition, Server, ServiceDefinition, UntypedHandleCall } from '@grpc/grpc-js';
import { checkFunction, checkMiddleware, expected } from '../check.ts';
import type { Method, Middleware } from '../types.ts';
import type { Serialize } from '../wire/port.ts';
import { type Handler, type Mounted, partsOf } from './handler.ts';
import { handle } from './produce.ts';
import { wrap } from './wrap.ts';

/** The request and the response of a method, as its definition has them on the server. */
type RequestOf<M> = M extends { requestDeserialize: (bytes: Buffer) => infer Req } ? Req : never;
type ResponseOf<M> = M extends { responseSerialize: (message: infer Res) => Buffer } ? Res : never;

/**
 * What stands for one method. Where the definition says of which kind the method is (ts-proto), only that kind
 * is taken; where it does not (proto-loader, grpc-tools), a source is, and a handler marked by `plain`.
 */
type Implementation<M> = M extends { requestStream: infer In; responseStream: infer Out }
  ? [boolean, boolean] extends [In, Out]
    ? Method<RequestOf<M>, ResponseOf<M>> | Mounted<RequestOf<M>, ResponseOf<M>> | Plain
    : [In, Out] extends [false, true]
      ? Method<RequestOf<M>, ResponseOf<M>> | Mounted<RequestOf<M>, ResponseOf<M>>
      : UntypedHandleCall
  : never;

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
type UntypedSources = Record<string, Method<any, any> | Mounted<any, any> | Plain>;

const kind: unique symbol = Symbol.for('leat.plain') as never;

/** A handler of another kind (unary, client streaming, bidirectional), taken as it is. */
export interface Plain {
  readonly [kind]: UntypedHandleCall;
}

/**
 * Says that a handler is not a source, for definitions whose types do not tell the kinds of methods apart.
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
 * Registers a whole service. For server-streaming methods the values are functions that return a source, or what
 * `produce` and `wrap` made; for the others plain grpc-js handlers. The definition types requests and messages, and
 * tells the sizes of messages also where an interceptor of somebody else is below.
 *
 * @example
 * mount(server, NumberService.service, {
 *   async *listNumbers({ max }) {
 *     for (let num = 1; num <= max; num++) yield { num };
 *   },
 * }, tracing(), errors());
 * @throws TypeError when there is no such method, or a value is not a function, or one for another kind of method.
 */
export function mount<D>(
  server: Server,
  definition: D,
  sources: Methods<D>,
  ...middleware: Middleware[]
): void {
  if (typeof server?.addService !== 'function') throw expected('server', 'a grpc.Server', server);
  if (typeof definition !== 'object' || definition === null)
    throw expected('definition', 'a service definition', definition);
  if (typeof sources !== 'object' || sources === null)
    throw expected('sources', 'an object of sources', sources);
  checkMiddleware(middleware);
  const methods = definition as unknown as ServiceDefinition;
  const given = sources as Record<string, unknown>;
  checkNames(methods, given);
  const service: Record<string, MethodDefinition<unknown, unknown>> = {};
  const implementation: Record<string, UntypedHandleCall> = {};
  for (const [name, method] of Object.entries(methods)) {
    service[name] = method;
    const [key, value] = find(given, [name, camelCase(name), method.originalName ?? name]);
    if (value === undefined) continue;
    if (typeof value !== 'function') throw expected(`sources.${key}`, 'a source or a handler', value);
    const bare: unknown = Reflect.get(value, kind);
    if (method.requestStream || !method.responseStream) {
      if (isSource(value))
        throw expected(`sources.${key}`, 'a handler, as the method is not server-streaming', value);
      implementation[name] = ((bare ?? value) as UntypedHandleCall).bind(sources);
      continue;
    }
    if (bare !== undefined)
      throw expected(
        `sources.${key}`,
        'a source, or `wrap(handler)`, as the method is server-streaming',
        bare,
      );
    const { responseSerialize } = method;
    implementation[name] = handlerOf(
      value as Method<unknown, unknown>,
      sources,
      middleware,
      responseSerialize,
    );
  }
  server.addService(service, implementation);
}

/** Whether a function shows that it returns a source: most could be that or a handler. */
function isSource(value: object): boolean {
  const generator = /^(Async)?GeneratorFunction$/.test(Reflect.get(value, Symbol.toStringTag));
  return generator || partsOf(value)?.source !== undefined;
}

function handlerOf(
  value: Method<unknown, unknown>,
  sources: object,
  middleware: readonly Middleware[],
  serialize: Serialize,
): Handler<unknown, unknown> {
  const parts = partsOf(value);
  if (parts === undefined) return handle(value.bind(sources) as typeof value, middleware, serialize);
  if (parts.source) return handle(parts.source, [...middleware, ...parts.middleware], serialize);
  return wrap(value as never, ...middleware).bind(sources) as Handler<unknown, unknown>;
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
      throw new TypeError(
        `Expected a method of the service, got \`${name}\`; it has ${Object.keys(methods).join(', ')}`,
      );
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
