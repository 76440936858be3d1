import type { MethodDefinition } from '@grpc/grpc-js';
import type { JsonCodec } from '../../json.ts';
import { fileOf } from './descriptor.ts';
import { fromJson } from './from-json.ts';
import { Registry } from './registry.ts';
import { toJson } from './to-json.ts';
import { toText } from './to-text.ts';

/** A codec that makes the text at once. */
export interface ProtoJson extends JsonCodec {
  /** The text of what `toJson` makes. */
  toText(message: unknown): string;
}

/** The descriptors that proto-loader leaves in a definition. */
interface Loaded {
  readonly requestType?: { readonly fileDescriptorProtos?: readonly Uint8Array[] };
  readonly responseType?: { readonly fileDescriptorProtos?: readonly Uint8Array[] };
}

/** Methods of one service share their descriptors. */
const registries = new WeakMap<object, Registry>();

/**
 * The JSON of proto3, for a method that proto-loader defined; nothing for others. Messages are encoded first: what they
 * mean is not to depend on the options of proto-loader, and objects that only look like messages are taken as well.
 */
export function protoJson(definition: MethodDefinition<any, any>): ProtoJson | undefined {
  const { requestType, responseType } = definition as Loaded;
  const own = requestType?.fileDescriptorProtos;
  const others = responseType?.fileDescriptorProtos;
  if (!Array.isArray(own) || !Array.isArray(others)) return undefined;
  const registry = registries.get(own) ?? new Registry([...new Set([...own, ...others])].map(fileOf));
  registries.set(own, registry);
  const types = registry.typesOf(definition.path);
  if (types === undefined) return undefined;
  const [request, response] = types;
  const { requestSerialize, requestDeserialize, responseSerialize } = definition;
  const decode = (json: unknown, query: boolean) =>
    requestDeserialize(requestSerialize(fromJson(json, request, query)));
  return {
    fromJson: json => decode(json, false),
    fromQuery: query => decode(query, true),
    toJson: message => toJson(responseSerialize(message), response, registry.messages),
    toText: message => toText(responseSerialize(message), response, registry.messages),
  };
}
