import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { ProtoGrpcType as Numbers } from '../proto/generated/number_service.ts';
import type { ProtoGrpcType as Values } from '../proto/generated/stream_server.ts';

const directory = fileURLToPath(new URL('../proto', import.meta.url));

/** The contracts, read as `npm run generate` reads them for their types. */
export const packageDefinition = loadSync(['number_service.proto', 'stream_server.proto'], {
  includeDirs: [directory],
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
});

export const { tutorial, StreamServer } = grpc.loadPackageDefinition(
  packageDefinition,
) as unknown as Numbers & Values;
