import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  isMessage,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { expected, show } from '../check.ts';
import { foreign, isDescService } from '../foreign.ts';

type Kind = DescMethod['methodKind'];

/** A method as grpc-js defines it: what is sent may be the fields of a message, what is read is a message. */
export interface MethodDefinition<K extends Kind, I extends DescMessage, O extends DescMessage> {
  /** The full method name, `/package.Service/Method`. */
  readonly path: string;
  /** Its name in the .proto. */
  readonly originalName: string;
  /** Whether its client streams. */
  readonly requestStream: K extends 'client_streaming' | 'bidi_streaming' ? true : false;
  /** Whether its server streams. */
  readonly responseStream: K extends 'server_streaming' | 'bidi_streaming' ? true : false;
  /** Encodes a request, of which the fields will do. */
  readonly requestSerialize: (message: MessageInitShape<I>) => Buffer;
  /** Reads a request. */
  readonly requestDeserialize: (bytes: Buffer) => MessageShape<I>;
  /** Encodes a response, of which the fields will do. */
  readonly responseSerialize: (message: MessageInitShape<O>) => Buffer;
  /** Reads a response. */
  readonly responseDeserialize: (bytes: Buffer) => MessageShape<O>;
}

/** A service as grpc-js defines it, typed by its descriptor. */
export type Definition<S extends DescService> = {
  readonly [Name in keyof S['method']]: MethodDefinition<
    S['method'][Name]['methodKind'],
    S['method'][Name]['input'],
    S['method'][Name]['output']
  >;
};

/**
 * The definition of a service that `protoc-gen-es` v2 generated, for `mount` and for `server.addService`. Methods are
 * given messages, and may answer with a message or with the fields that `create` takes. An answer that is neither, or a
 * message of another type, ends the call with `INTERNAL`, as one that cannot be encoded does.
 *
 * @example
 * mount(server, definition(NumberService), {
 *   async *listNumbers({ max }) {
 *     for (let num = 1; num <= max; num++) yield { num };
 *   },
 * });
 * @throws TypeError when it is no descriptor of a service.
 */
export function definition<S extends DescService>(service: S): Definition<S> {
  checkService(service);
  const methods = service.methods.map(method => [method.localName, definitionOf(service, method)] as const);
  return Object.fromEntries(methods) as Definition<S>;
}

function definitionOf(
  { typeName }: DescService,
  { name, methodKind, input, output }: DescMethod,
): MethodDefinition<any, DescMessage, DescMessage> {
  const bidi = methodKind === 'bidi_streaming';
  return {
    path: `/${typeName}/${name}`,
    originalName: name,
    requestStream: bidi || methodKind === 'client_streaming',
    responseStream: bidi || methodKind === 'server_streaming',
    requestSerialize: serializer(input),
    requestDeserialize: deserializer(input),
    responseSerialize: serializer(output),
    responseDeserialize: deserializer(output),
  };
}

/** What is a message already is encoded as it is; of another type, it would become an empty one. */
function serializer(schema: DescMessage): (message: unknown) => Buffer {
  return message => {
    const known = isMessage(message);
    if (known ? message.$typeName !== schema.typeName : !isFields(message))
      throw new TypeError(
        `Expected a ${schema.typeName}, or its fields, got ${known ? `a ${message.$typeName}` : show(message)}`,
      );
    const bytes = toBinary(schema, known ? message : create(schema, message as Record<string, unknown>));
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

/** Of a list, an error, a date, bytes and the like `create` would make an empty message, or one of what it should not. */
function isFields(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.prototype.toString.call(value) === '[object Object]' && !(Symbol.iterator in value);
}

/** Not of a `Buffer`: the fields that are bytes would be Buffers, too, whose `slice` does not copy. */
function deserializer<M extends DescMessage>(schema: M): (bytes: Buffer) => MessageShape<M> {
  return bytes => fromBinary(schema, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

function checkService(service: DescService): void {
  if (isDescService(service)) return;
  const what = 'a service that protoc-gen-es v2 generated';
  const given = foreign(service);
  if (given === undefined) throw expected('service', what, service);
  throw new TypeError(`Expected \`service\` to be ${what}, got ${given.what}`);
}
