import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { ProtoGrpcType as Data } from '../proto/generated/data.ts';
import type { ProtoGrpcType as Logs } from '../proto/generated/log_service.ts';
import type { ProtoGrpcType as Numbers } from '../proto/generated/number_service.ts';
import type { ProtoGrpcType as Values } from '../proto/generated/stream_server.ts';
import type { ProtoGrpcType as Streams } from '../proto/generated/stream_service.ts';

const files = ['data', 'log_service', 'number_service', 'stream_server', 'stream_service'];

/** The contracts, read as `npm run generate` reads them for their types. */
export const packageDefinition = loadSync(
  files.map(file => `${file}.proto`),
  {
    includeDirs: [fileURLToPath(new URL('../proto', import.meta.url))],
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  },
);

type Packages = Data & Logs & Numbers & Streams & Values;

export const { example, protobuf, streamservice, tutorial, StreamServer } = grpc.loadPackageDefinition(
  packageDefinition,
) as unknown as Packages;
