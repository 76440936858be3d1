import type { MethodDefinition, Server, ServiceDefinition, UntypedHandleCall } from '@grpc/grpc-js';
import { encode } from './broadcast.ts';
import { checkMiddleware, expected } from './check.ts';
import { type Handler, type Mounted, partsOf } from './handler.ts';
import { handle } from './produce.ts';
import type { Middleware, Source } from './types.ts';
import type { Measure } from './wire.ts';
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
    ? Source<RequestOf<M>, ResponseOf<M>> | Mounted<RequestOf<M>, ResponseOf<M>> | Plain
    : [In, Out] extends [false, true]
      ? Source<RequestOf<M>, ResponseOf<M>> | Mounted<RequestOf<M>, ResponseOf<M>>
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
export type Sources<D> = {
  [Name in Names<D> | Uncapitalize<Names<D>>]?: Implementation<MethodOf<D, Name>>;
};

declare const kind: unique symbol;

/** A handler of another kind (unary, client streaming, bidirectional), taken as it is. */
export interface Plain {
  readonly [kind]: 'plain';
}

/** Says that a handler is not a source, for definitions whose types do not tell the kinds of methods apart. */
export function plain(handler: UntypedHandleCall): Plain {
  return handler as never;
}

/**
 * Registers a whole service. For server-streaming methods the values are sources, or what `produce` and `wrap`
 * made; for the others plain grpc-js handlers. Because it has the definition, it knows the encoded size of each
 * message, encodes a `broadcast` one once, and says which message could not be encoded.
 *
 * @example
 * mount(server, NumberService.service, {
 *   async *listNumbers({ max }) {
 *     for (let num = 1; num <= max; num++) yield { num };
 *   },
 * }, tracing(), errors());
 * @throws TypeError when there is no such method, or a value is not a function.
 */
export function mount<D>(
  server: Server,
  definition: D,
  sources: Sources<D>,
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
    const value = find(given, [name, camelCase(name), method.originalName ?? name]);
    if (value === undefined) continue;
    if (typeof value !== 'function') throw expected(`sources.${name}`, 'a source or a handler', value);
    if (method.requestStream || !method.responseStream) {
      implementation[name] = value.bind(sources) as UntypedHandleCall;
      continue;
    }
    const encoder = new Encoder(method.responseSerialize);
    service[name] = { ...method, responseSerialize: encoder.serialize };
    implementation[name] = handlerOf(value as Source<unknown, unknown>, sources, middleware, encoder.measure);
  }
  server.addService(service, implementation);
}

function handlerOf(
  value: Source<unknown, unknown>,
  sources: object,
  middleware: readonly Middleware[],
  measure: Measure,
): Handler<unknown, unknown> {
  const parts = partsOf(value);
  if (parts === undefined) return handle(value.bind(sources) as typeof value, middleware, measure);
  if (parts.source) return handle(parts.source, [...middleware, ...parts.middleware], measure);
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

/** What every object has by the name of a method, such as `toString`, does not stand for the method. */
function find(given: Record<string, unknown>, names: string[]): unknown {
  for (const name of names) {
    const inherited = name === 'constructor' && !Object.hasOwn(given, name);
    const value = given[name];
    if (value !== undefined && !inherited && value !== Reflect.get(Object.prototype, name)) return value;
  }
  return undefined;
}

function camelCase(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1);
}

/** Encodes ahead of grpc-js, which asks for the same message next, unless interceptors may change it. */
class Encoder {
  readonly measure: Measure;
  readonly serialize: (message: unknown) => Buffer;

  constructor(real: (message: unknown) => Buffer) {
    let ahead: unknown;
    let bytes: Buffer | undefined;
    this.measure = (message, direct) => {
      const encoded = encode(message, real);
      bytes = direct ? encoded : undefined;
      ahead = message;
      return encoded.length;
    };
    this.serialize = message => {
      if (bytes === undefined || message !== ahead) return encode(message, real);
      const encoded = bytes;
      bytes = undefined;
      ahead = undefined;
      return encoded;
    };
  }
}
