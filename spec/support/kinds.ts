import * as grpc from '@grpc/grpc-js';
import { type Call, interceptor, type Kind, type Middleware, mount, produce, wrap } from '../../lib/index.ts';
import { definition, type MountName, quiet, type Reply, type Running, start } from './harness.ts';

export const kinds: readonly Kind[] = ['unary', 'clientStream', 'serverStream', 'bidi'];

/** A method of each kind, by the name of its kind; all messages are JSON. */
export const service = {
  unary: { ...definition.stream, path: '/spec.Kinds/Unary', requestStream: false, responseStream: false },
  clientStream: {
    ...definition.stream,
    path: '/spec.Kinds/ClientStream',
    requestStream: true,
    responseStream: false,
  },
  serverStream: {
    ...definition.stream,
    path: '/spec.Kinds/ServerStream',
    requestStream: false,
    responseStream: true,
  },
  bidi: { ...definition.stream, path: '/spec.Kinds/Bidi', requestStream: true, responseStream: true },
} as const satisfies Record<Kind, grpc.MethodDefinition<any, any>>;

export const streamsIn = (kind: Kind): boolean => service[kind].requestStream;
export const streamsOut = (kind: Kind): boolean => service[kind].responseStream;

/** Of any kind: what it returns, and what its request is, are the kind's. */
export type AnyMethod = (request: any, call: Call<any>) => any;

/** A method as people write it for grpc-js by hand. `tap` is the innermost middleware, and gives it its call. */
export function byHand(kind: Kind, method: AnyMethod): { handler: grpc.UntypedHandleCall; tap: Middleware } {
  let current: Call | undefined;
  const requestOf = (stream: any) =>
    streamsIn(kind)
      ? { [Symbol.asyncIterator]: () => stream.iterator({ destroyOnReturn: false }) }
      : stream.request;
  const answer = async (stream: any, callback: grpc.sendUnaryData<any>) => {
    let message: unknown;
    try {
      message = await method(requestOf(stream), current as Call);
    } catch (error) {
      return callback(error as grpc.ServiceError);
    }
    callback(null, message);
  };
  const write = async (stream: any) => {
    try {
      const made = await method(requestOf(stream), current as Call);
      const iterator: AsyncIterator<unknown> = made[Symbol.asyncIterator]?.() ?? made[Symbol.iterator]();
      stream.once('cancelled', () => void Promise.resolve(iterator.return?.()).catch(() => {}));
      for (;;) {
        const step = await iterator.next();
        if (step.done || stream.cancelled) break;
        if (!stream.write(step.value)) await new Promise(resolve => stream.once('drain', resolve));
      }
      stream.end();
    } catch (error) {
      stream.emit('error', error);
    }
  };
  return {
    handler: (streamsOut(kind) ? write : answer) as grpc.UntypedHandleCall,
    tap: call => {
      current = call;
    },
  };
}

/** Serves one method with middleware on one of the mounts. */
export function serveKind(
  on: MountName,
  kind: Kind,
  method: AnyMethod,
  middleware: Middleware[] = [],
  options: grpc.ServerOptions = {},
): Promise<Running> {
  const list = [quiet, ...middleware];
  const add = (handler: unknown) => (server: grpc.Server) =>
    server.addService({ [kind]: service[kind] }, { [kind]: handler as grpc.UntypedHandleCall });
  const { handler, tap } = byHand(kind, method);
  switch (on) {
    case 'produce':
      return start(add(produce(method, ...list)), options);
    case 'mount':
      return start(server => mount(server, service, { [kind]: method }, ...list), options);
    case 'wrap':
      return start(add(wrap(handler as never, ...list, tap)), options);
    case 'interceptor':
      return start(add(handler), { ...options, interceptors: [interceptor(...list, tap)] });
  }
}

/** One call in progress, as its client sees it. */
export interface Calling {
  readonly stream: grpc.ClientDuplexStream<any, any>;
  readonly messages: any[];
  /** Settles when the status came. */
  readonly reply: Promise<Reply>;
}

export interface CallingOptions extends grpc.CallOptions {
  /** The client goes on streaming. */
  readonly endless?: boolean;
  readonly metadata?: grpc.Metadata;
}

/** Calls a method of whichever kind: to the client, each is a stream of some requests and some messages. */
export function calling(
  { client }: Running,
  kind: Kind,
  requests: readonly unknown[] = [{}],
  { endless = false, metadata = new grpc.Metadata(), ...options }: CallingOptions = {},
): Calling {
  const { path, requestSerialize, responseDeserialize } = service[kind];
  // Bytes go as they are, so that a test may send what cannot be decoded.
  const serialize = (request: unknown) => (Buffer.isBuffer(request) ? request : requestSerialize(request));
  const stream = client.makeBidiStreamRequest(path, serialize, responseDeserialize, metadata, options);
  const messages: any[] = [];
  let header: grpc.Metadata | undefined;
  stream.on('metadata', received => {
    header = received;
  });
  stream.on('data', message => messages.push(message));
  stream.on('error', () => {});
  for (const request of requests) stream.write(request);
  if (!endless) stream.end();
  const reply = new Promise<Reply>(resolve => {
    stream.on('status', ({ code, details, metadata: trailer }) =>
      resolve({ messages, header, trailer, code, details }),
    );
  });
  return { stream, messages, reply };
}
