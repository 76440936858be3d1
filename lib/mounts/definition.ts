import type { ServiceDefinition } from '@grpc/grpc-js';

/** The names a type has of its own, without the index signature that generated definitions inherit. */
export type Names<T> = keyof { [K in keyof T as string extends K ? never : K]: T[K] } & string;

/** What is known of one method: as much of its definition as a server reads. */
export interface Served<Req, Res, In extends boolean = boolean, Out extends boolean = boolean> {
  readonly path: string;
  readonly requestStream: In;
  readonly responseStream: Out;
  readonly requestDeserialize: (bytes: Buffer) => Req;
  readonly responseSerialize: (message: Res) => Buffer;
}

/** What a definition, or what stands for one, tells of its methods. */
export type ServiceOf<D> =
  IsAny<D> extends true
    ? D
    : D extends abstract new (
          ...args: any
        ) => infer Client
      ? D extends { readonly service: infer Service }
        ? WithKindsOf<Service, Client>
        : D
      : IsHandlers<D> extends true
        ? OfHandlers<D>
        : D extends ServiceDefinition<infer Handlers>
          ? IsHandlers<Handlers> extends true
            ? OfHandlers<Handlers>
            : Known<D>
          : Known<D>;

/** What stands for `D` where that is the type of the handlers: a service that they are for. */
export type ServiceFor<D> =
  IsHandlers<D> extends true ? ServedBy<D> | { readonly service: ServedBy<D> } : never;

/** What other libraries have for a service is no definition: no methods go with it, but the way out, as a type. */
type Known<D> = D extends { readonly kind: 'service'; readonly typeName: string }
  ? 'give definition(…) of leat/protobuf-es'
  : D extends { readonly typeName: string; readonly methods: readonly unknown[] }
    ? 'give the definition that protobuf-ts generates with server_grpc1'
    : D extends { readonly typeName: string; readonly methods: object }
      ? 'give definition(…) of leat/protobuf-es, with what protoc-gen-es v2 generates'
      : D extends { readonly fullName: string; readonly methods: object }
        ? 'give the service that ts-proto generates with outputServices=grpc-js'
        : D;

/** The messages that a service sends, of whichever method. */
export type ResponsesOf<D> = AnyIfNone<ResponsesIn<ServiceOf<D>>>;

type ResponsesIn<S> = { [K in Names<S>]: ResponseOf<S[K]> }[Names<S>];

type AnyIfNone<T> = [T] extends [never] ? any : T;

/** The messages that a handler sends, or all handlers of an implementation. */
export type SentBy<T> = AnyIfNone<
  T extends AnyFunction
    ? ResponseOf<OfHandler<T>>
    : { [K in Names<T>]: ResponseOf<OfHandler<T[K]>> }[Names<T>]
>;

/** The request and the response of a method, as its definition has them on the server. */
export type RequestOf<M> = M extends { requestDeserialize: (bytes: Buffer) => infer Req } ? Req : never;
export type ResponseOf<M> = M extends { responseSerialize: (message: infer Res) => Buffer } ? Res : never;

type IsAny<T> = 0 extends 1 & T ? true : false;

type AnyFunction = (...args: any) => unknown;

/** Whether these are the types of handlers: protobuf-ts tells of its methods by them, and proto-loader, too. */
type IsHandlers<T> =
  IsAny<T> extends true
    ? false
    : [Names<T>] extends [never]
      ? false
      : [T[Names<T>]] extends [AnyFunction]
        ? true
        : false;

type OfHandlers<H> = { [K in Names<H>]: OfHandler<H[K]> };

/** Whatever its definition says of the kinds, which proto-loader's does not. */
type ServedBy<H> = {
  readonly [K in Names<H>]: Served<RequestOf<OfHandler<H[K]>>, ResponseOf<OfHandler<H[K]>>>;
};

/** By the shape of what a handler is called with: one request, or many to read; somewhere to write, or a callback. */
type OfHandler<H> = H extends (call: infer Call, callback: infer Callback) => unknown
  ? Served<Request<Call>, Response<Call, Callback>, Not<Has<Call, 'request'>>, Has<Call, 'write'>>
  : never;

/** By the first way to `read`: the other is that of any Readable, which answers with `any`. */
type Request<Call> = Call extends { request: infer Req }
  ? Req
  : Call extends { read: { (...args: any): infer Req; (...args: any): any } }
    ? Req
    : never;

type Response<Call, Callback> = Call extends { write(message: infer Res, ...rest: any): unknown }
  ? Res
  : Callback extends (error: any, message?: infer Res) => unknown
    ? NonNullable<Res>
    : never;

type Has<T, Name> = Name extends keyof T ? true : false;
type Not<T> = T extends true ? false : true;

/** The definition tells the messages as a server has them, and what the client's methods return, the kinds. */
type WithKindsOf<Service, Client> = {
  [K in Names<Service>]: Service[K] &
    (K extends keyof Client
      ? Client[K] extends (...args: any) => infer Returned
        ? { requestStream: Has<Returned, 'write'>; responseStream: Has<Returned, 'read'> }
        : unknown
      : unknown);
};
