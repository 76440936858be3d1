import type { Described, DescribedEnum, DescribedField, File } from './descriptor.ts';
import {
  type EnumType,
  type Field,
  jsonName,
  type Messages,
  type MessageType,
  messageType,
} from './types.ts';
import { shown } from './well-known.ts';

/** By their numbers in descriptors; 0 is none. */
const KINDS: readonly (Field['kind'] | undefined)[] = [
  ...([
    undefined,
    'double',
    'float',
    'int64',
    'uint64',
    'int32',
    'fixed64',
    'fixed32',
    'bool',
    'string',
  ] as const),
  ...(['group', 'message', 'bytes', 'uint32', 'enum', 'sfixed32', 'sfixed64', 'sint32', 'sint64'] as const),
];
const REPEATED = 3;

/** All types of some files, by their full names. */
export class Registry {
  readonly messages: Messages;
  private readonly known = new Map<string, MessageType>();
  private readonly enums = new Map<string, EnumType>();
  /** By the paths of methods. */
  private readonly methods = new Map<string, readonly [request: string, response: string]>();

  constructor(files: readonly File[]) {
    this.messages = this.known;
    const unfinished: (() => void)[] = [];
    for (const { package: name = '', enumType, messageType, service = [], syntax } of files) {
      this.addEnums(name, enumType);
      this.addMessages(name, messageType, syntax !== 'proto3', unfinished);
      for (const { name: own, method = [] } of service)
        for (const one of method)
          this.methods.set(`/${within(name, own)}/${one.name}`, [one.inputType, one.outputType]);
    }
    // A field may be of a type that comes later.
    for (const finish of unfinished) finish();
  }

  /** The types of a method. */
  typesOf(path: string): readonly [request: MessageType, response: MessageType] | undefined {
    const [request = '', response = ''] = this.methods.get(path) ?? [];
    const types = [find(this.known, request, ''), find(this.known, response, '')] as const;
    return types[0] && types[1] ? (types as readonly [MessageType, MessageType]) : undefined;
  }

  private addEnums(scope: string, list: readonly DescribedEnum[] = []): void {
    for (const { name, value = [] } of list) {
      const full = within(scope, name);
      const names = new Map<number, string>();
      // Of several names of one number, JSON has the first.
      for (const { name: own, number = 0 } of value) if (!names.has(number)) names.set(number, own);
      const numbers = new Map(value.map(({ name: own, number = 0 }) => [own, number]));
      this.enums.set(full, { name: full, names, numbers });
    }
  }

  private addMessages(
    scope: string,
    list: readonly Described[] = [],
    explicit: boolean,
    unfinished: (() => void)[],
  ): void {
    for (const { name, enumType, field = [], nestedType, options } of list) {
      const full = within(scope, name);
      this.addEnums(full, enumType);
      this.addMessages(full, nestedType, explicit, unfinished);
      const show = shown.get(full);
      const type = messageType(full, [], options?.mapEntry === true, show);
      this.known.set(full, type);
      unfinished.push(() => {
        const oneofs = oneofsOf(field);
        const fields = field.map(one => this.field(one, full, explicit, oneofs));
        Object.assign(type, messageType(full, fields, type.entry, show));
      });
    }
  }

  private field(
    described: DescribedField,
    scope: string,
    explicit: boolean,
    oneofs: ReadonlyMap<number | undefined, Field[]>,
  ): Field {
    const { name, number, label, type, typeName = '', oneofIndex } = described;
    const kind = KINDS[type];
    const message = kind === 'message' ? find(this.known, typeName, scope) : undefined;
    const enumeration = kind === 'enum' ? find(this.enums, typeName, scope) : undefined;
    if (kind === undefined || (kind === 'message' && !message))
      throw new TypeError(`Expected the field \`${name}\` of ${scope} to have a known type`);
    const presence = explicit || oneofIndex !== undefined || kind === 'message';
    const oneof = oneofs.get(oneofIndex);
    const [json, repeated] = [jsonName(name), label === REPEATED];
    const field = { number, name, json, kind, message, enumeration, repeated, presence, oneof };
    oneof?.push(field);
    return field;
  }
}

/** Where the fields of each oneof will be; one with a single field, as `optional` makes it, excludes nothing. */
function oneofsOf(list: readonly DescribedField[]): Map<number | undefined, Field[]> {
  const oneofs = new Map<number | undefined, Field[]>();
  const seen = new Set<number>();
  for (const { oneofIndex } of list)
    if (oneofIndex !== undefined) {
      if (seen.has(oneofIndex)) oneofs.set(oneofIndex, []);
      seen.add(oneofIndex);
    }
  return oneofs;
}

function within(scope: string, name: string): string {
  return scope ? `${scope}.${name}` : name;
}

/** A type by a name as somebody within `scope` writes it: that of the innermost scope which has it. */
function find<T>(types: ReadonlyMap<string, T>, name: string, scope: string): T | undefined {
  if (name.startsWith('.')) return types.get(name.slice(1));
  for (let at = scope; ; at = at.slice(0, Math.max(0, at.lastIndexOf('.')))) {
    const found = types.get(within(at, name));
    if (found || at === '') return found;
  }
}
