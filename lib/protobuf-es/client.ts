import type {
  DescMessage,
  DescMethod,
  DescService,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import {
  type CallOptions,
  type ChannelCredentials,
  type ClientDuplexStream,
  type ClientOptions,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ClientWritableStream,
  type Client as GrpcClient,
  type Metadata,
  makeGenericClientConstructor,
  type requestCallback,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import { type Definition, definition } from './definition.ts';

type Options = Partial<CallOptions>;

interface Unary<Req, Res> {
  (request: Req, callback: requestCallback<Res>): ClientUnaryCall;
  (request: Req, metadata: Metadata, callback: requestCallback<Res>): ClientUnaryCall;
  (request: Req, options: Options, callback: requestCallback<Res>): ClientUnaryCall;
  (request: Req, metadata: Metadata, options: Options, callback: requestCallback<Res>): ClientUnaryCall;
}

interface ClientStream<Req, Res> {
  (callback: requestCallback<Res>): ClientWritableStream<Req>;
  (metadata: Metadata, callback: requestCallback<Res>): ClientWritableStream<Req>;
  (options: Options, callback: requestCallback<Res>): ClientWritableStream<Req>;
  (metadata: Metadata, options: Options, callback: requestCallback<Res>): ClientWritableStream<Req>;
}

interface ServerStream<Req, Res> {
  (request: Req, options?: Options): ClientReadableStream<Res>;
  (request: Req, metadata: Metadata, options?: Options): ClientReadableStream<Res>;
}

interface Bidi<Req, Res> {
  (options?: Options): ClientDuplexStream<Req, Res>;
  (metadata: Metadata, options?: Options): ClientDuplexStream<Req, Res>;
}

/** What calls one method: its request may be the fields of a message, its responses are messages. */
export type ClientMethod<
  K extends DescMethod['methodKind'],
  I extends DescMessage,
  O extends DescMessage,
> = K extends 'unary'
  ? Unary<MessageInitShape<I>, MessageShape<O>>
  : K extends 'server_streaming'
    ? ServerStream<MessageInitShape<I>, MessageShape<O>>
    : K extends 'client_streaming'
      ? ClientStream<MessageInitShape<I>, MessageShape<O>>
      : Bidi<MessageInitShape<I>, MessageShape<O>>;

/** A client of grpc-js with the methods of a service. */
export type Client<S extends DescService> = GrpcClient & {
  readonly [Name in keyof S['method']]: ClientMethod<
    S['method'][Name]['methodKind'],
    S['method'][Name]['input'],
    S['method'][Name]['output']
  >;
};

/** A class of clients; `mount` takes it, too, for the service that these call. */
export interface ClientClass<S extends DescService> {
  new (address: string, credentials: ChannelCredentials, options?: Partial<ClientOptions>): Client<S>;
  /** What it calls, as `mount` takes it. */
  readonly service: Definition<S>;
  /** The full name of the service. */
  readonly serviceName: string;
}

/**
 * The client of grpc-js for a service that `protoc-gen-es` v2 generated.
 *
 * @example
 * const NumberClient = clientClass(NumberService);
 * const client = new NumberClient('127.0.0.1:50051', credentials.createInsecure());
 * for await (const { num } of client.listNumbers({ max: 3 })) console.log(num);
 * @throws TypeError when it is no descriptor of a service.
 */
export function clientClass<S extends DescService>(service: S): ClientClass<S> {
  const methods = definition(service) as unknown as ServiceDefinition;
  return makeGenericClientConstructor(methods, service.typeName) as unknown as ClientClass<S>;
}
