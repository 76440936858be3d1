import {
  create,
  createFileRegistry,
  type DescMessage,
  type FileRegistry,
  fromBinary,
} from '@bufbuild/protobuf';
import { protoCamelCase } from '@bufbuild/protobuf/reflect';
import {
  type DescriptorProto,
  FileDescriptorProtoSchema,
  type FileDescriptorSet,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';

/** The types of protobuf-es, by descriptors of proto-loader. */
export function registryOf(definition: object): FileRegistry {
  return createFileRegistry(descriptorsOf(definition));
}

/** Descriptors of proto-loader, made what those of protoc are. */
export function descriptorsOf(definition: object): FileDescriptorSet {
  const { requestType } = definition as { requestType: { fileDescriptorProtos: Uint8Array[] } };
  const files = requestType.fileDescriptorProtos.map(bytes => fromBinary(FileDescriptorProtoSchema, bytes));
  const known = new Set<string>();
  const add = (scope: string, { name, nestedType, enumType }: DescriptorProto) => {
    known.add(`${scope}.${name}`);
    for (const one of enumType) known.add(`${scope}.${name}.${one.name}`);
    for (const one of nestedType) add(`${scope}.${name}`, one);
  };
  for (const file of files) {
    for (const one of file.enumType) known.add(`${scopeOf(file)}.${one.name}`);
    for (const one of file.messageType) add(scopeOf(file), one);
  }
  const absolute = (name: string, scope: string): string => {
    for (let at = scope; at !== ''; at = at.slice(0, at.lastIndexOf('.')))
      if (known.has(`${at}.${name}`)) return `${at}.${name}`;
    return `.${name}`;
  };
  const mend = (scope: string, message: DescriptorProto) => {
    const own = `${scope}.${message.name}`;
    for (const field of message.field) {
      field.jsonName = protoCamelCase(field.name);
      if (field.typeName && !field.typeName.startsWith('.')) field.typeName = absolute(field.typeName, own);
      const oneof = field.oneofIndex === undefined ? undefined : message.oneofDecl[field.oneofIndex];
      if (oneof?.name.startsWith('_')) field.proto3Optional = true;
    }
    for (const one of message.nestedType) mend(own, one);
  };
  for (const file of files) for (const one of file.messageType) mend(scopeOf(file), one);
  // Google's come first: everybody's messages are of their types.
  files.sort((a, b) => Number(b.package === 'google.protobuf') - Number(a.package === 'google.protobuf'));
  files.forEach((file, index) => {
    file.dependency = files.slice(0, index).map(({ name }) => name);
  });
  return create(FileDescriptorSetSchema, { file: files });
}

function scopeOf({ package: name }: { readonly package: string }): string {
  return name === '' ? '' : `.${name}`;
}

export function messageOf(registry: FileRegistry, name: string): DescMessage {
  const found = registry.getMessage(name);
  if (found === undefined) throw new Error(`no message is called ${name}`);
  return found;
}
