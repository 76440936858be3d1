import { BYTES, Reader } from './reader.ts';
import type { Field, Messages, MessageType } from './types.ts';

type Json = Record<string, unknown>;

/** An encoded message as its JSON. */
export function toJson(bytes: Uint8Array, type: MessageType, messages: Messages): unknown {
  return read(readerOf(bytes), type, messages);
}

export function readerOf(bytes: Uint8Array): Reader {
  const { buffer, byteOffset, byteLength } = bytes;
  return new Reader(Buffer.isBuffer(bytes) ? bytes : Buffer.from(buffer, byteOffset, byteLength));
}

export function read(reader: Reader, type: MessageType, messages: Messages): unknown {
  const json: Json = {};
  while (reader.more) {
    const tag = reader.uint32();
    const field = type.fields.get(tag >>> 3);
    const wire = tag & 7;
    if (field === undefined || field.kind === 'group') reader.skip(wire);
    else if (field.message?.entry) entry(reader.part(), field, field.message, json, messages);
    else if (!field.repeated) {
      // The last one counts, as to whoever decodes it.
      if (field.oneof) for (const other of field.oneof) delete json[other.json];
      const value = one(reader, field, messages);
      if (field.presence || !isDefault(value, field)) json[field.json] = value;
      else if (field.json in json) delete json[field.json];
    } else {
      json[field.json] ??= [];
      const values = json[field.json] as unknown[];
      if (wire !== BYTES || isLong(field)) values.push(one(reader, field, messages));
      else for (const part = reader.part(); part.more; ) values.push(one(part, field, messages));
    }
  }
  const { show } = type;
  return show ? show(json, (name, value) => inner(name, value, messages)) : json;
}

/** What has its length before it, so that several are not packed. */
export function isLong({ kind }: Field): boolean {
  return kind === 'string' || kind === 'bytes' || kind === 'message';
}

/** Keys are texts. A map has no prototype: its keys are whatever somebody sent. */
function entry(reader: Reader, field: Field, type: MessageType, json: Json, messages: Messages): void {
  const [ofKey, ofValue] = [type.fields.get(1) as Field, type.fields.get(2) as Field];
  let key: unknown;
  let value: unknown;
  while (reader.more) {
    const tag = reader.uint32();
    if (tag >>> 3 === 1) key = one(reader, ofKey, messages);
    else if (tag >>> 3 === 2) value = one(reader, ofValue, messages);
    else reader.skip(tag & 7);
  }
  json[field.json] ??= Object.create(null);
  (json[field.json] as Json)[String(key ?? defaultOf(ofKey))] = value ?? defaultOf(ofValue, messages);
}

export function one(reader: Reader, { kind, message, enumeration }: Field, messages: Messages): unknown {
  switch (kind) {
    case 'message':
      return read(reader.part(), message as MessageType, messages);
    case 'enum': {
      const number = reader.int32();
      if (enumeration?.name === 'google.protobuf.NullValue') return null;
      return enumeration?.names.get(number) ?? number;
    }
    case 'bool':
      return reader.bool();
    case 'bytes':
      return reader.base64();
    case 'float':
    case 'double': {
      const value = reader[kind]();
      return Number.isFinite(value) ? value : String(value);
    }
    case 'int64':
    case 'uint64':
    case 'sint64':
    case 'fixed64':
    case 'sfixed64':
      return String(reader[kind]());
    case 'group':
      return undefined;
    default:
      return reader[kind]();
  }
}

/** What is not there, as the key or the value of a map. */
export function defaultOf({ kind, enumeration, message }: Field, messages?: Messages): unknown {
  if (kind === 'message')
    return read(new Reader(Buffer.alloc(0)), message as MessageType, messages as Messages);
  if (kind === 'enum') return enumeration?.names.get(0) ?? 0;
  if (kind === 'bool') return false;
  if (kind === 'string' || kind === 'bytes') return '';
  return kind.endsWith('64') ? '0' : 0;
}

export function isDefault(value: unknown, { kind, enumeration }: Field): boolean {
  switch (kind) {
    case 'message':
      return false;
    case 'enum':
      return value === 0 || value === enumeration?.names.get(0);
    case 'float':
    case 'double':
      return Object.is(value, 0);
    case 'string':
    case 'bytes':
      return value === '';
    default:
      return value === 0 || value === '0' || value === false;
  }
}

/** The message within an `Any`. */
function inner(name: string, base64: string, messages: Messages): unknown {
  const type = messages.get(name);
  if (type === undefined)
    throw new TypeError(`Expected \`${name}\`, which an Any holds, to be a type of this service`);
  return read(new Reader(Buffer.from(base64, 'base64')), type, messages);
}
