import { expected } from '../../check.ts';
import { nearest } from '../../nearest.ts';
import { type Field, jsonName, type MessageType, type Scalar } from './types.ts';
import { meant } from './well-known.ts';

/** How deep messages may lie in each other, as protobuf has it. */
const MAX_DEPTH = 100;

/**
 * The object of proto-loader that JSON stands for; in a query, every value is a text.
 * @throws TypeError that names the field which does not fit.
 */
export function fromJson(json: unknown, type: MessageType, query: boolean): object {
  return objectOf(json, type, '', query, 0);
}

function objectOf(given: unknown, type: MessageType, name: string, query: boolean, depth: number): object {
  if (depth > MAX_DEPTH)
    throw new TypeError(`Expected \`${name}\` to be less deep than ${MAX_DEPTH} messages`);
  const json = meant.get(type.name)?.(given, name) ?? given;
  if (!isObject(json)) throw unfit(name || 'the request', 'an object', json);
  const object: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(json)) {
    const field = type.byName.get(key) ?? type.byName.get(jsonName(key));
    const path = name ? `${name}.${key}` : key;
    if (field === undefined || field.kind === 'group') throw unknownField(path, key, type);
    const is = held(value, field, path, query, depth);
    if (is !== undefined) object[field.name] = is;
  }
  return object;
}

function unknownField(path: string, key: string, type: MessageType): TypeError {
  const names = [...new Set([...type.fields.values()].map(({ json }) => json))];
  const close = nearest(key.slice(0, 64), names);
  const hint = close ? `did you mean \`${close}\`?` : `it has ${names.join(', ') || 'none'}`;
  return new TypeError(`Expected \`${path.slice(0, 200)}\` to be a field of ${type.name}: ${hint}`);
}

/** Nothing where JSON says `null`, which is a value only where it can be. */
function held(json: unknown, field: Field, name: string, query: boolean, depth: number): unknown {
  const { message, repeated } = field;
  if (json === null && message?.name !== 'google.protobuf.Value' && !isNull(field)) return undefined;
  if (message?.entry) return entriesOf(json, message, name, query, depth);
  if (!repeated) return one(json, field, name, query, depth);
  const list = query && !Array.isArray(json) ? [json] : json;
  if (!Array.isArray(list)) throw unfit(name, 'a list', json);
  return list.map((item, index) => one(item, field, `${name}[${index}]`, query, depth));
}

function isNull({ enumeration }: Field): boolean {
  return enumeration?.name === 'google.protobuf.NullValue';
}

function entriesOf(json: unknown, type: MessageType, name: string, query: boolean, depth: number): object {
  if (!isObject(json)) throw unfit(name, 'an object', json);
  const [ofKey, ofValue] = [type.fields.get(1) as Field, type.fields.get(2) as Field];
  const entries: Record<string, unknown> = Object.create(null);
  for (const [key, value] of Object.entries(json)) {
    const path = `${name}.${key}`;
    // As a key, everything is a text.
    scalarOf(key, ofKey.kind as Scalar, path, true);
    // To protobuf.js the key of a map is true unless it is empty.
    const as = ofKey.kind === 'bool' && key === 'false' ? '' : key;
    entries[as] = one(value, ofValue, path, query, depth);
  }
  return entries;
}

function one(json: unknown, field: Field, name: string, query: boolean, depth: number): unknown {
  const { kind, message, enumeration } = field;
  if (message) return objectOf(json, message, name, query, depth + 1);
  if (kind !== 'enum') return scalarOf(json, kind as Scalar, name, query);
  if (isNull(field)) return 0;
  const known = typeof json === 'string' ? enumeration?.numbers.get(json) : undefined;
  const number =
    known ??
    (typeof json === 'number' || (query && /^-?\d+$/.test(String(json))) ? Number(json) : Number.NaN);
  if (!Number.isInteger(number) || number !== (number | 0))
    throw unfit(name, `one of ${[...(enumeration?.numbers.keys() ?? [])].join(', ')}`, json);
  return number;
}

const RANGES: Partial<Record<Scalar, readonly [bigint, bigint]>> = {};
for (const kind of ['int32', 'sint32', 'sfixed32'] as const) RANGES[kind] = [-(2n ** 31n), 2n ** 31n - 1n];
for (const kind of ['uint32', 'fixed32'] as const) RANGES[kind] = [0n, 2n ** 32n - 1n];
for (const kind of ['int64', 'sint64', 'sfixed64'] as const) RANGES[kind] = [-(2n ** 63n), 2n ** 63n - 1n];
for (const kind of ['uint64', 'fixed64'] as const) RANGES[kind] = [0n, 2n ** 64n - 1n];

function scalarOf(json: unknown, kind: Scalar, name: string, query: boolean): unknown {
  switch (kind) {
    case 'string':
      if (typeof json === 'string') return json;
      throw unfit(name, 'a string', json);
    case 'bool':
      if (typeof json === 'boolean') return json;
      if (query && (json === 'true' || json === 'false')) return json === 'true';
      throw unfit(name, 'true or false', json);
    case 'bytes':
      if (typeof json === 'string' && /^[\w+/-]*={0,2}$/.test(json)) return Buffer.from(json, 'base64');
      throw unfit(name, 'base64', json);
    case 'double':
    case 'float':
      return floatOf(json, kind, name);
    default:
      return integerOf(json, kind, name);
  }
}

function floatOf(json: unknown, kind: Scalar, name: string): number {
  const special = json === 'NaN' || json === 'Infinity' || json === '-Infinity';
  const number = special || isNumeral(json) ? Number(json) : Number.NaN;
  const fits = special || Number.isFinite(kind === 'float' ? Math.fround(number) : number);
  if (!fits) throw unfit(name, 'a number', json);
  return number;
}

/** As a number where JavaScript has it exactly, and else as a text. */
function integerOf(json: unknown, kind: Scalar, name: string): number | string {
  const [least, most] = RANGES[kind] as readonly [bigint, bigint];
  const what = `an integer from ${least} to ${most}`;
  if (!isNumeral(json)) throw unfit(name, what, json);
  const exact = typeof json === 'string' && /^-?\d+$/.test(json);
  if (!exact && !Number.isInteger(Number(json))) throw unfit(name, what, json);
  const integer = exact ? BigInt(json) : BigInt(Number(json));
  if (integer < least || integer > most) throw unfit(name, what, json);
  return kind.endsWith('64') ? String(integer) : Number(integer);
}

/** A number of JSON, also within quotes. */
function isNumeral(json: unknown): json is number | string {
  if (typeof json === 'number') return true;
  return (
    typeof json === 'string' && json.length <= 100 && /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(json)
  );
}

function isObject(json: unknown): json is object {
  return typeof json === 'object' && json !== null && !Array.isArray(json) && !Buffer.isBuffer(json);
}

/** Names and values are as somebody sent them. */
function unfit(name: string, what: string, json: unknown): TypeError {
  return expected(name.slice(0, 200), what, typeof json === 'string' ? json.slice(0, 100) : json);
}
