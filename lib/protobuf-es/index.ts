/**
 * Services of protobuf-es v2: definitions for `mount`, and clients of grpc-js, by what `protoc-gen-es` generates.
 * @module
 */
export { type Client, type ClientClass, type ClientMethod, clientClass } from './client.ts';
export { type Definition, definition, type MethodDefinition } from './definition.ts';
