import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
} from '@bufbuild/protobuf/wkt';
import type { Server } from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';

type Named = Record<string, unknown>;

/** Where reflection has its own contract. */
const folder = join(createRequire(import.meta.url).resolve('@grpc/reflection'), '../../proto');
const itself = ['v1', 'v1alpha'].map(version => join(folder, 'grpc/reflection', version, 'reflection.proto'));

/** Reflection as grpcurl and the like need it: they can make nothing of what proto-loader says by itself. */
export function addReflection(server: Server, contracts: PackageDefinition): void {
  const files = filesOf({ ...contracts, ...loadSync(itself, { keepCase: true }) });
  const fileDescriptorProtos = repaired(files).map(file => toBinary(FileDescriptorProtoSchema, file));
  const reflection = new ReflectionService({ all: { fileDescriptorProtos } } as unknown as PackageDefinition);
  const { v1, v1Alpha } = reflection as unknown as Record<
    'v1' | 'v1Alpha',
    { symbols: Named; services: Named }
  >;
  for (const { symbols, services } of [v1, v1Alpha]) {
    dropDots(symbols);
    dropDots(services);
  }
  reflection.addToServer(server);
}

/** What has no package has a dot before its name, by which nobody asks for it. */
function dropDots(named: Named): void {
  for (const name of Object.keys(named)) {
    if (!name.startsWith('.')) continue;
    named[name.slice(1)] = named[name];
    delete named[name];
  }
}

function filesOf(contracts: PackageDefinition): FileDescriptorProto[] {
  const files = new Map<string, FileDescriptorProto>();
  for (const definition of Object.values(contracts))
    for (const bytes of 'fileDescriptorProtos' in definition
      ? (definition.fileDescriptorProtos as Buffer[])
      : []) {
      const file = fromBinary(FileDescriptorProtoSchema, bytes);
      files.set(file.name, file);
    }
  return [...files.values()];
}

/** The files as protoc would describe them: with imports, full type names, JSON names, and named map entries. */
function repaired(files: FileDescriptorProto[]): FileDescriptorProto[] {
  const homes = new Map<string, string>();
  const messages = files.flatMap(file => {
    const scope = file.package && `.${file.package}`;
    for (const { name } of file.enumType) homes.set(`${scope}.${name}`, file.name);
    return [...named(scope, file.messageType)].map(([name, message]) => ({ name, message, file }));
  });
  for (const { name, message, file } of messages) {
    homes.set(name, file.name);
    for (const { name: inner } of message.enumType) homes.set(`${name}.${inner}`, file.name);
  }
  for (const { name, message, file } of messages)
    for (const field of message.field) {
      field.jsonName = jsonNameOf(field.name);
      if (field.typeName === '') continue;
      let scope = name;
      while (scope !== '' && !homes.has(`${scope}.${field.typeName}`))
        scope = scope.slice(0, scope.lastIndexOf('.'));
      field.typeName = `${scope}.${field.typeName}`;
      const home = homes.get(field.typeName);
      if (home && home !== file.name && !file.dependency.includes(home)) file.dependency.push(home);
    }
  return files;
}

/** As protoc makes it: an underscore goes, and what follows it becomes a capital. */
function jsonNameOf(name: string): string {
  return name.replace(/_+(.?)/g, (_, next: string) => next.toUpperCase());
}

/** All messages, with their full names; on the way map entries get the names that they must have. */
function* named(scope: string, messages: DescriptorProto[]): Generator<[string, DescriptorProto]> {
  for (const message of messages) {
    const name = `${scope}.${message.name}`;
    yield [name, message];
    for (const entry of message.nestedType.filter(({ options }) => options?.mapEntry)) {
      for (const field of message.field) if (field.typeName === entry.name) field.typeName += 'Entry';
      entry.name += 'Entry';
    }
    yield* named(name, message.nestedType);
  }
}
