import { BYTES, type Reader } from './reader.ts';
import { defaultOf, isDefault, isLong, one, read, readerOf, toJson } from './to-json.ts';
import type { Field, Messages, MessageType } from './types.ts';

/**
 * An encoded message as the text of its JSON, which is that of `toJson`. Encoders write fields in the order of their
 * numbers, each once: of such a message, the text is made as it is read, and no object in between.
 */
export function toText(bytes: Uint8Array, type: MessageType, messages: Messages): string {
  const text = type.show ? undefined : textOf(readerOf(bytes), type, messages);
  return text ?? JSON.stringify(toJson(bytes, type, messages));
}

/** Nothing for a message that says again what it has said: what is meant then, only the whole tells. */
function textOf(reader: Reader, type: MessageType, messages: Messages): string | undefined {
  let text = '';
  let last = 0;
  let picked: Field['oneof'][] | undefined;
  while (reader.more) {
    const tag = reader.uint32();
    const number = tag >>> 3;
    const field = type.fields.get(number);
    if (field === undefined || field.kind === 'group') {
      reader.skip(tag & 7);
      continue;
    }
    if (number <= last) return undefined;
    last = number;
    if (field.oneof) {
      if (picked?.includes(field.oneof)) return undefined;
      picked ??= [];
      picked.push(field.oneof);
    }
    const value = field.repeated ? severalOf(reader, tag, field, messages) : fieldOf(reader, field, messages);
    if (value === undefined) return undefined;
    if (value !== '') text += `${text === '' ? '' : ','}"${field.json}":${value}`;
  }
  return `{${text}}`;
}

/** Empty for what JSON leaves out. */
function fieldOf(reader: Reader, field: Field, messages: Messages): string | undefined {
  if (field.message) return messageOf(reader, field.message, messages);
  const value = one(reader, field, messages);
  return field.presence || !isDefault(value, field) ? scalarOf(value, field) : '';
}

function messageOf(reader: Reader, type: MessageType, messages: Messages): string | undefined {
  const part = reader.part();
  return type.show ? JSON.stringify(read(part, type, messages)) : textOf(part, type, messages);
}

/** What a text has in JSON besides its quotes, only texts have that somebody wrote. */
function scalarOf(value: unknown, { kind }: Field): string {
  if (typeof value !== 'string') return String(value);
  return kind === 'string' ? JSON.stringify(value) : `"${value}"`;
}

/** Everything that follows and is of this field. */
function severalOf(reader: Reader, first: number, field: Field, messages: Messages): string | undefined {
  const { message } = field;
  const keys = message?.entry ? new Set<string>() : undefined;
  let list = '';
  for (let tag = first; ; ) {
    let value: string | undefined;
    if (message) {
      value = keys ? entryOf(reader.part(), message, keys, messages) : messageOf(reader, message, messages);
      if (value === undefined) return undefined;
    } else if ((tag & 7) !== BYTES || isLong(field)) value = scalarOf(one(reader, field, messages), field);
    else value = packedOf(reader.part(), field, messages);
    if (list === '') list = value;
    else if (value !== '') list += `,${value}`;
    if (!reader.more) break;
    const { at } = reader;
    tag = reader.uint32();
    if (tag >>> 3 === first >>> 3) continue;
    reader.at = at;
    break;
  }
  return keys ? `{${list}}` : `[${list}]`;
}

function packedOf(part: Reader, field: Field, messages: Messages): string {
  const values: string[] = [];
  while (part.more) values.push(scalarOf(one(part, field, messages), field));
  return values.join();
}

/** Nothing for a key that is there again. */
function entryOf(part: Reader, type: MessageType, keys: Set<string>, messages: Messages): string | undefined {
  const [ofKey, ofValue] = [type.fields.get(1) as Field, type.fields.get(2) as Field];
  let key: unknown;
  let value: string | undefined;
  while (part.more) {
    const tag = part.uint32();
    if (tag >>> 3 === 1) key = one(part, ofKey, messages);
    else if (tag >>> 3 !== 2) part.skip(tag & 7);
    else if (value !== undefined) return undefined;
    else if (ofValue.message) value = messageOf(part, ofValue.message, messages);
    else value = scalarOf(one(part, ofValue, messages), ofValue);
  }
  const name = String(key ?? defaultOf(ofKey));
  if (keys.has(name)) return undefined;
  keys.add(name);
  return `${JSON.stringify(name)}:${value ?? JSON.stringify(defaultOf(ofValue, messages))}`;
}
