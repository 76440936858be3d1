import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';
import type { ProtoGrpcType as Data } from '../proto/generated/data.ts';
import type { ProtoGrpcType as Logs } from '../proto/generated/log_service.ts';
import type { ProtoGrpcType as Numbers } from '../proto/generated/number_service.ts';
import type { ProtoGrpcType as Routes } from '../proto/generated/route_guide.ts';
import type { ProtoGrpcType as Values } from '../proto/generated/stream_server.ts';
import type { ProtoGrpcType as Streams } from '../proto/generated/stream_service.ts';

const files = ['data', 'log_service', 'number_service', 'route_guide', 'stream_server', 'stream_service'];

const paths = files.map(file => fileURLToPath(new URL(`../proto/${file}.proto`, import.meta.url)));

/** The contracts, read as `npm run generate` reads them for their types. */
export const packageDefinition = loadSync(paths, {
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
});

/** The contracts with the names that they have in their files, and that of health. */
export const contracts = loadSync([...paths, protoPath], { keepCase: true });

type Packages = Data & Logs & Numbers & Routes & Streams & Values;

export const { example, protobuf, routeguide, streamservice, tutorial, StreamServer } =
  grpc.loadPackageDefinition(packageDefinition) as unknown as Packages;
