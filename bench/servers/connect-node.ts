import { once } from 'node:events';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { create, createFileRegistry, type DescMethodServerStreaming, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import type { ConnectRouter } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import type { MessageTypeDefinition } from '@grpc/proto-loader';
import { benchProto, numberProto } from '../services.ts';
import * as sources from '../sources.ts';
import type { Contender } from './contender.ts';

/** The descriptors that protoc-gen-es would have generated, of what proto-loader has loaded. */
const registry = createFileRegistry(
  create(FileDescriptorSetSchema, {
    file: [numberProto['tutorial.NumberRequest'], benchProto['bench.Chunk']].flatMap(type =>
      (type as MessageTypeDefinition<object, object>).fileDescriptorProtos.map(bytes =>
        fromBinary(FileDescriptorProtoSchema, bytes),
      ),
    ),
  }),
);

export const serve = (): Promise<Contender> => serveBy({ grpc: true, grpcWeb: false });

export async function serveBy(protocols: { grpc: boolean; grpcWeb: boolean }): Promise<Contender> {
  const routes = (router: ConnectRouter) => {
    router.rpc(method('tutorial.NumberService', 'listNumbers'), sources.numbers as never);
    router.rpc(method('bench.Bench', 'chunks'), sources.chunks as never);
  };
  const server = createServer(connectNodeAdapter({ routes, connect: false, ...protocols }));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port };
}

function method(service: string, name: string): DescMethodServerStreaming {
  return registry.getService(service)?.method[name] as DescMethodServerStreaming;
}
