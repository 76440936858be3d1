import type { Place } from './place.ts';
import { jsonName, type Show } from './types.ts';

const ANY = 'google.protobuf.Any';
const DURATION = 'google.protobuf.Duration';
const TIMESTAMP = 'google.protobuf.Timestamp';

const WRAPPERS: Readonly<Record<string, unknown>> = {
  DoubleValue: 0,
  FloatValue: 0,
  Int64Value: '0',
  UInt64Value: '0',
  Int32Value: 0,
  UInt32Value: 0,
  BoolValue: false,
  StringValue: '',
  BytesValue: '',
};

/**
 * Messages that JSON has in a shape of their own: how each is shown.
 * @see https://protobuf.dev/programming-guides/json/
 */
export const shown: ReadonlyMap<string, Show> = new Map<string, Show>([
  [TIMESTAMP, ({ seconds = '0', nanos = 0 }) => timestamp(Number(seconds), nanos)],
  [DURATION, ({ seconds = '0', nanos = 0 }) => duration(seconds, nanos)],
  ['google.protobuf.FieldMask', ({ paths = [] }) => paths.map(jsonName).join(',')],
  ['google.protobuf.Struct', ({ fields = {} }) => fields],
  ['google.protobuf.ListValue', ({ values = [] }) => values],
  ['google.protobuf.Value', anyValue],
  [ANY, ({ typeUrl = '', value = '' }, inner) => any(typeUrl, value, inner)],
  ...Object.entries(WRAPPERS).map(([name, zero]): [string, Show] => [
    `google.protobuf.${name}`,
    ({ value = zero }) => value,
  ]),
]);

function any(typeUrl: string, base64: string, inner: Parameters<Show>[1]): unknown {
  const name = typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
  const value = inner(name, base64);
  return shown.has(name) ? { '@type': typeUrl, value } : { '@type': typeUrl, ...(value as object) };
}

/** What is not finite is a text elsewhere in JSON; here, a text means a text. */
function anyValue({ numberValue, ...others }: Parameters<Show>[0]): unknown {
  if (typeof numberValue === 'string')
    throw new TypeError(`Expected the number in a google.protobuf.Value to be finite, got ${numberValue}`);
  return numberValue ?? Object.values(others)[0] ?? null;
}

/** From the year 1 to 9999. */
const [FIRST, LAST] = [-62_135_596_800, 253_402_300_799];

function timestamp(seconds: number, nanos: number): string {
  if (seconds < FIRST || seconds > LAST || nanos < 0 || nanos > 999_999_999)
    throw new TypeError('Expected a timestamp from the year 1 to 9999');
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}${fraction(nanos)}Z`;
}

/** In seconds. */
const LONGEST = 315_576_000_000;

function duration(seconds: string, nanos: number): string {
  const whole = Number(seconds);
  if (Math.abs(whole) > LONGEST || Math.abs(nanos) > 999_999_999 || whole * nanos < 0)
    throw new TypeError(
      'Expected a duration of no more than 10000 years, its nanos with the sign of its seconds',
    );
  const sign = nanos < 0 || seconds.startsWith('-') ? '-' : '';
  return `${sign}${seconds.replace('-', '')}${fraction(Math.abs(nanos))}s`;
}

/** With no more digits than it takes, by threes. */
function fraction(nanos: number): string {
  if (nanos === 0) return '';
  return `.${String(nanos)
    .padStart(9, '0')
    .replace(/(000){1,2}$/, '')}`;
}

/** The JSON that any other message would have, of what stands for one of these; by its type. */
export const meant: ReadonlyMap<string, (json: unknown, place: Place) => unknown> = new Map([
  [TIMESTAMP, timestampOf],
  [DURATION, durationOf],
  ['google.protobuf.FieldMask', fieldMaskOf],
  ['google.protobuf.Struct', (fields: unknown) => ({ fields })],
  ['google.protobuf.ListValue', (values: unknown) => ({ values })],
  ['google.protobuf.Value', anyValueOf],
  [ANY, refuseAny],
  ...Object.keys(WRAPPERS).map(name => [`google.protobuf.${name}`, (value: unknown) => ({ value })] as const),
]);

function timestampOf(json: unknown, place: Place): object {
  const [, whole, day, digits = '', zone] =
    /^(\d{4}-\d\d-(\d\d)[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/.exec(String(json)) ?? [];
  const seconds = Date.parse(`${whole}${zone}`.toUpperCase()) / 1000;
  // `Date` takes February 30 for March 1, and the hour 24 for the next day.
  const isDay = new Date(`${whole}Z`.toUpperCase()).getUTCDate() === Number(day);
  if (typeof json !== 'string' || !isDay || !(seconds >= FIRST && seconds <= LAST))
    throw place.unfit('a time such as `2030-01-31T12:00:00Z`', json);
  return { seconds: String(seconds), nanos: Number(digits.padEnd(9, '0')) };
}

function durationOf(json: unknown, place: Place): object {
  const [, sign = '', seconds, digits = ''] = /^(-)?(\d{1,12})(?:\.(\d{1,9}))?s$/.exec(String(json)) ?? [];
  if (typeof json !== 'string' || seconds === undefined || Number(seconds) > LONGEST)
    throw place.unfit('a duration such as `1.5s`', json);
  const nanos = Number(digits.padEnd(9, '0'));
  return { seconds: `${sign}${seconds}`, nanos: sign && nanos ? -nanos : nanos };
}

function fieldMaskOf(json: unknown, place: Place): object {
  if (typeof json !== 'string') throw place.unfit('names of fields with commas between', json);
  const snake = (path: string) => path.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`);
  return { paths: json === '' ? [] : json.split(',').map(snake) };
}

function anyValueOf(json: unknown): object {
  switch (typeof json) {
    case 'number':
      return { numberValue: json };
    case 'boolean':
      return { boolValue: json };
    case 'object':
      if (json === null) return { nullValue: 0 };
      return Array.isArray(json) ? { listValue: json } : { structValue: json };
    default:
      return { stringValue: json };
  }
}

function refuseAny(json: unknown, place: Place): never {
  throw place.unfit('no Any, which is not read from JSON', json);
}
