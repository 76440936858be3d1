import type { JsonCodec } from '../json.ts';

/** The JSON of proto3, by the descriptors that proto-loader leaves in a definition. */
export function protoJson(_definition: object): JsonCodec | undefined {
  return undefined;
}
