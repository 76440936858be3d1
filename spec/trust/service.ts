import { fileURLToPath } from 'node:url';
import type { ServiceDefinition } from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';

const loaded = loadSync(fileURLToPath(new URL('trust.proto', import.meta.url)), { defaults: true });

export const Trust = loaded['trust.Trust'] as ServiceDefinition;

/** For who needs descriptors. */
export const descriptors: Buffer[] = (loaded['trust.Item'] as MessageTypeDefinition<object, object>)
  .fileDescriptorProtos;

export interface Item {
  number?: number;
  filling?: Buffer;
}

export const item: (bytes: Buffer) => Item = Trust.Next?.responseDeserialize as never;
