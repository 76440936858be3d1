import { nearest } from '../../nearest.ts';
import { isBase64 } from '../base64.ts';
import { Place } from './place.ts';
import { type Field, jsonName, type MessageType, type Scalar } from './types.ts';
import { meant } from './well-known.ts';

/** How deep messages may lie in each other, as protobuf has it. */
const MAX_DEPTH = 100;

/**
 * The object of proto-loader that JSON stands for; in a query, every value is a text.
 * @throws TypeError that names the field which does not fit.
 */
export function fromJson(json: unknown, type: MessageType, query: boolean): object {
  return objectOf(json, type, new Place(), query, 0);
}

function objectOf(given: unknown, type: MessageType, place: Place, query: boolean, depth: number): object {
  if (depth > MAX_DEPTH)
    throw new TypeError(`Expected \`${place.path}\` to be less deep than ${MAX_DEPTH} messages`);
  const json = meant.get(type.name)?.(given, place) ?? given;
  if (!isObject(json)) throw place.unfit('an object', json);
  const object: Record<string, unknown> = {};
  for (const key of Object.keys(json)) {
    place.enter(key);
    const value = json[key];
    const field = type.byName.get(key) ?? type.byName.get(jsonName(key));
    if (field === undefined || field.kind === 'group') throw unknownField(place.path, key, type);
    const is = held(value, field, place, query, depth);
    if (is !== undefined) {
      const other = alreadyIn(object, field);
      if (other) throw notAlone(place.path, other === field ? 'another name of it' : `\`${other.json}\``);
      object[field.name] = is;
    }
    place.leave();
  }
  return object;
}

/** What there is already, by another of its names, or of those that exclude each other. */
function alreadyIn(object: object, field: Field): Field | undefined {
  if (Object.hasOwn(object, field.name)) return field;
  return field.oneof?.find(({ name }) => Object.hasOwn(object, name));
}

function notAlone(path: string, other: string): TypeError {
  return new TypeError(
    `Expected \`${path}\` to be there alone, got ${other} as well: it is one or the other`,
  );
}

function unknownField(path: string, key: string, type: MessageType): TypeError {
  const names = [...new Set([...type.fields.values()].map(({ json }) => json))];
  const close = nearest(key.slice(0, 64), names);
  const hint = close ? `did you mean \`${close}\`?` : `it has ${names.join(', ') || 'none'}`;
  return new TypeError(`Expected \`${path}\` to be a field of ${type.name}: ${hint}`);
}

/** Nothing where JSON says `null`, which is a value only where it can be. */
function held(json: unknown, field: Field, place: Place, query: boolean, depth: number): unknown {
  const { message, repeated } = field;
  if (json === null && message?.name !== 'google.protobuf.Value' && !isNull(field)) return undefined;
  if (message?.entry) return entriesOf(json, message, place, query, depth);
  if (!repeated) return one(json, field, place, query, depth);
  const list: unknown = query && !Array.isArray(json) ? [json] : json;
  if (!Array.isArray(list)) throw place.unfit('a list', json);
  place.enter(0);
  const items = list.map((item: unknown, index) => {
    place.turn(index);
    return one(item, field, place, query, depth);
  });
  place.leave();
  return items;
}

function isNull({ enumeration }: Field): boolean {
  return enumeration?.name === 'google.protobuf.NullValue';
}

function entriesOf(json: unknown, type: MessageType, place: Place, query: boolean, depth: number): object {
  if (!isObject(json)) throw place.unfit('an object', json);
  const [ofKey, ofValue] = [type.fields.get(1) as Field, type.fields.get(2) as Field];
  const entries: Record<string, unknown> = Object.create(null);
  place.enter('');
  for (const key of Object.keys(json)) {
    place.turn(key);
    // As a key, everything is a text, and `1.0` another one of 1.
    const own = scalarOf(key, ofKey.kind as Scalar, place, true);
    // To protobuf.js the key of a map is true unless it is empty.
    const as = own === false ? '' : String(own);
    if (as in entries) throw notAlone(place.path, 'another name of it');
    entries[as] = one(json[key], ofValue, place, query, depth);
  }
  place.leave();
  return entries;
}

function one(json: unknown, field: Field, place: Place, query: boolean, depth: number): unknown {
  const { kind, message, enumeration } = field;
  if (message) return objectOf(json, message, place, query, depth + 1);
  if (kind !== 'enum') return scalarOf(json, kind as Scalar, place, query);
  if (isNull(field)) return 0;
  const known = typeof json === 'string' ? enumeration?.numbers.get(json) : undefined;
  const number =
    known ??
    (typeof json === 'number' || (query && /^-?\d+$/.test(String(json))) ? Number(json) : Number.NaN);
  if (!Number.isInteger(number) || number !== (number | 0))
    throw place.unfit(`one of ${[...(enumeration?.numbers.keys() ?? [])].join(', ')}`, json);
  return number;
}

const RANGES: Partial<Record<Scalar, readonly [bigint, bigint]>> = {};
for (const kind of ['int32', 'sint32', 'sfixed32'] as const) RANGES[kind] = [-(2n ** 31n), 2n ** 31n - 1n];
for (const kind of ['uint32', 'fixed32'] as const) RANGES[kind] = [0n, 2n ** 32n - 1n];
for (const kind of ['int64', 'sint64', 'sfixed64'] as const) RANGES[kind] = [-(2n ** 63n), 2n ** 63n - 1n];
for (const kind of ['uint64', 'fixed64'] as const) RANGES[kind] = [0n, 2n ** 64n - 1n];

function scalarOf(json: unknown, kind: Scalar, place: Place, query: boolean): unknown {
  switch (kind) {
    case 'string':
      if (typeof json === 'string') return json;
      throw place.unfit('a string', json);
    case 'bool':
      if (typeof json === 'boolean') return json;
      if (query && (json === 'true' || json === 'false')) return json === 'true';
      throw place.unfit('true or false', json);
    case 'bytes':
      if (typeof json === 'string' && isBase64(json)) return Buffer.from(json, 'base64');
      throw place.unfit('base64', json);
    case 'double':
    case 'float':
      return floatOf(json, kind, place);
    default:
      return integerOf(json, kind, place);
  }
}

function floatOf(json: unknown, kind: Scalar, place: Place): number {
  const special = json === 'NaN' || json === 'Infinity' || json === '-Infinity';
  const number = special || isNumeral(json) ? Number(json) : Number.NaN;
  const fits = special || Number.isFinite(kind === 'float' ? Math.fround(number) : number);
  if (!fits) throw place.unfit('a number', json);
  return number;
}

/** As a number where JavaScript has it exactly, and else as a text. */
function integerOf(json: unknown, kind: Scalar, place: Place): number | string {
  const [least, most] = RANGES[kind] as readonly [bigint, bigint];
  const integer = exactly(json);
  if (integer === undefined || integer < least || integer > most)
    throw place.unfit(`an integer from ${least} to ${most}`, json);
  return kind.endsWith('64') ? String(integer) : Number(integer);
}

/** The integer that JSON means, if it is one; few are larger than a number has exactly. */
function exactly(json: unknown): number | bigint | undefined {
  if (Number.isSafeInteger(json)) return json as number;
  if (!isNumeral(json)) return undefined;
  if (typeof json === 'string' && /^-?\d+$/.test(json)) return BigInt(json);
  return Number.isInteger(Number(json)) ? BigInt(Number(json)) : undefined;
}

/** A number of JSON, also within quotes. */
function isNumeral(json: unknown): json is number | string {
  if (typeof json === 'number') return true;
  return (
    typeof json === 'string' && json.length <= 100 && /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(json)
  );
}

function isObject(json: unknown): json is Readonly<Record<string, unknown>> {
  return typeof json === 'object' && json !== null && !Array.isArray(json) && !Buffer.isBuffer(json);
}
