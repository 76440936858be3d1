import { once } from 'node:events';
import { createServer, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { create, createFileRegistry, type DescMethodServerStreaming, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import {
  Code,
  ConnectError,
  type ConnectRouter,
  type HandlerContext,
  type Interceptor,
} from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { LARGEST, type Source } from '../row.ts';
import { descriptors } from '../service.ts';
import { type Given, GRACE_MS, log, type Served } from './column.ts';

const registry = createFileRegistry(
  create(FileDescriptorSetSchema, {
    file: descriptors.map(bytes => fromBinary(FileDescriptorProtoSchema, bytes)),
  }),
);

export async function serve(given: Given): Promise<Served> {
  const ending = new AbortController();
  const routes = (router: ConnectRouter) => {
    router.rpc(descriptor('hostile'), method(given.source) as never);
    router.rpc(descriptor('next'), method(given.next) as never);
  };
  const server = createServer(
    connectNodeAdapter({
      routes,
      connect: false,
      grpcWeb: false,
      writeMaxBytes: LARGEST,
      shutdownSignal: ending.signal,
      interceptors: given.row.logs ? [logging] : [],
    }),
  );
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', session => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    shutDown() {
      server.close();
      for (const session of sessions) session.close();
      setTimeout(() => {
        ending.abort(new ConnectError('the server is shutting down', Code.Unavailable));
        setTimeout(() => {
          for (const session of sessions) session.destroy();
        }, GRACE_MS);
      }, GRACE_MS);
    },
  };
}

function descriptor(name: string): DescMethodServerStreaming {
  return registry.getService('trust.Trust')?.method[name] as DescMethodServerStreaming;
}

/** There is nothing that sends the headers alone: they go with the first message. */
function method(source: Source): (request: unknown, context: HandlerContext) => unknown {
  return (_request, context) =>
    source({
      signal: context.signal,
      header: (key, value) => context.responseHeader.set(key, value),
      trailer: (key, value) => context.responseTrailer.set(key, value),
      sendHeader() {},
      status: (code, details) => new ConnectError(details, code),
    });
}

const logging: Interceptor = next => async request => {
  const response = await next(request);
  if (!response.stream) return response;
  const { message } = response;
  return {
    ...response,
    message: (async function* () {
      try {
        yield* message;
      } finally {
        log();
      }
    })() as never,
  };
};
