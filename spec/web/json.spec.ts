import { fromBinary, fromJson, toBinary, toJson } from '@bufbuild/protobuf';
import { expect } from 'chai';
import fc from 'fast-check';
import { Place } from '../../lib/web/json/place.ts';
import { protoJson } from '../../lib/web/json/proto-json.ts';
import { messageOf, registryOf } from '../support/protoc.ts';
import { everything } from '../support/web-service.ts';

const { Many } = everything({ longs: String, enums: String, defaults: true, oneofs: true });
const codec = (definition: object = Many) => {
  const found = protoJson(definition as never);
  if (found === undefined) throw new Error('no codec');
  return found;
};
const registry = registryOf(Many);
const Thing = messageOf(registry, 'spec.web.Thing');

const int = (bits: number) => fc.bigInt(-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1) - 1n);
const uint = (bits: number) => fc.bigInt(0n, 2n ** BigInt(bits) - 1n);
const small = (big: fc.Arbitrary<bigint>) => big.map(Number);
const long = (big: fc.Arbitrary<bigint>) => big.map(String);
const color = fc.constantFrom('RED', 'GREEN', 'BLUE', 77);
const base64 = fc.uint8Array({ maxLength: 20 }).map(bytes => Buffer.from(bytes).toString('base64'));
const double = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom('NaN', 'Infinity', '-Infinity'),
);
const time = fc
  .tuple(
    fc.date({ min: new Date(0), max: new Date('9999-01-01'), noInvalidDate: true }),
    fc.constantFrom('', '.5', '.123', '.000001', '.123456789'),
  )
  .map(([date, fraction]) => `${date.toISOString().slice(0, 19)}${fraction}Z`);
const took = fc
  .tuple(fc.constantFrom('', '-'), fc.nat(1e9), fc.constantFrom('', '.25', '.000000001'))
  .map(parts => `${parts.join('')}s`);
const json = fc.jsonValue({ maxDepth: 3 });
const inner = fc.record({ label: fc.string(), thing: fc.constant({ text: 'deep' }) }, { requiredKeys: [] });

const thing = fc.record(
  {
    ...{ someCount: small(int(32)), u32: small(uint(32)), s32: small(int(32)), f32: small(uint(32)) },
    ...{ sf32: small(int(32)), i64: long(int(64)), u64: long(uint(64)), s64: long(int(64)) },
    ...{
      f64: long(uint(64)),
      sf64: long(int(64)),
      flt: fc.float({ noNaN: true, noDefaultInfinity: true }),
      dbl: double,
    },
    ...{ flag: fc.boolean(), text: fc.string({ unit: 'grapheme' }), data: base64, color, inner },
    ...{
      numbers: fc.array(small(int(32))),
      words: fc.array(fc.string()),
      inners: fc.array(inner),
      colors: fc.array(color),
    },
    ...{
      sizes: fc.dictionary(fc.string(), long(int(64)), { noNullPrototype: false }),
      byNumber: fc.dictionary(small(int(32)).map(String), inner),
    },
    ...{
      byFlag: fc.dictionary(fc.constant('true'), color),
      name: fc.string(),
      maybe: small(int(32)),
    },
    ...{ at: time, took, fields: fc.dictionary(fc.string(), json), value: json, list: fc.array(json) },
    ...{
      boxedLong: long(int(64)),
      boxedText: fc.string(),
      boxedFlag: fc.boolean(),
      boxedData: base64,
      boxedDouble: double,
    },
    ...{ nothing: fc.constant({}), times: fc.array(time) },
  },
  { requiredKeys: [] },
);

describe('the JSON of events', () => {
  it('reads and writes what protobuf-es does, byte for byte', () => {
    const { requestSerialize, responseSerialize } = Many;
    const { fromJson: read, toJson: write } = codec();
    fc.assert(
      fc.property(thing, given => {
        // `__proto__` is a key like any other for us, and not for protobuf.js.
        if (JSON.stringify(given).includes('__proto__')) return;
        const theirs = toBinary(Thing, fromJson(Thing, given as never, { registry }));
        const ours = requestSerialize(read(given));
        // As texts: JSON has no negative zero.
        const said = (bytes: Uint8Array) =>
          JSON.parse(JSON.stringify(toJson(Thing, fromBinary(Thing, bytes), { registry })));
        const json = said(ours);
        expect(json, 'read').to.deep.equal(said(theirs));
        expect(
          JSON.parse(JSON.stringify(write(Many.responseDeserialize(Buffer.from(theirs))))),
        ).to.deep.equal(json);
        expect(responseSerialize(read(json)).length).to.equal(ours.length);
      }),
      { numRuns: 100 },
    );
  });

  it('is made as text at once, of whatever an encoder may write', () => {
    // What is sent has been encoded by somebody else.
    const asIs = codec({ ...Many, responseSerialize: (bytes: unknown) => bytes });
    const encoded = (given: object) => toBinary(Thing, fromJson(Thing, given as never, { registry }));
    fc.assert(
      fc.property(thing, thing, fc.constantFrom('one', 'both', 'twice'), (one, other, how) => {
        if (JSON.stringify([one, other]).includes('__proto__')) return;
        const [first, second] = [encoded(one), encoded(how === 'twice' ? one : other)];
        const bytes = how === 'one' ? first : Buffer.concat([first, second]);
        const text = asIs.toText(bytes);
        const made = JSON.stringify(asIs.toJson(bytes));
        expect(JSON.parse(text)).to.deep.equal(JSON.parse(made));
        // Nothing is there twice.
        expect(text.length).to.equal(made.length);
      }),
      { numRuns: 150 },
    );
  });

  it('has keys as they are, whoever takes them for something else', () => {
    const given = { sizes: JSON.parse('{"__proto__":"1","a\\"\\n":"2"}') };
    const text = codec().toText(given);
    expect(text).to.equal('{"sizes":{"__proto__":"1","a\\"\\n":"2"}}');
  });

  it('has 64 bits exactly, in all lengths of a varint', () => {
    for (const big of [
      0n,
      1n,
      127n,
      128n,
      2n ** 48n,
      2n ** 49n - 1n,
      2n ** 49n,
      2n ** 53n + 1n,
      2n ** 63n - 1n,
    ])
      for (const i64 of [`${big}`, `${-big}`])
        expect(JSON.parse(codec().toText({ i64, s64: i64, words: ['x'] })), i64).to.deep.equal({
          ...(big !== 0n && { i64, s64: i64 }),
          words: ['x'],
        });
  });

  it('is the same whatever the options of proto-loader are', () => {
    const given = {
      someCount: 1,
      i64: '9007199254740993',
      color: 'GREEN',
      byNumber: { 1: { label: 'x' } },
      data: 'aGk=',
    };
    for (const options of [
      {},
      { keepCase: true },
      { longs: String, enums: String, bytes: String },
      { longs: Number, arrays: true },
    ]) {
      const { Many: method } = everything(options);
      const { fromJson: read, toJson: write } = codec(method);
      const exact = { ...given, i64: options.longs === Number ? '9007199254740992' : given.i64 };
      expect(JSON.parse(JSON.stringify(write(read(given)))), JSON.stringify(options)).to.deep.equal(exact);
      expect(read({ some_count: 1 })).to.deep.equal(read({ someCount: 1 }));
    }
  });

  it('has an Any whose type the service knows, and says when it does not', () => {
    const { toJson: write } = codec();
    const value = everything().One.requestSerialize({ text: 'within' });
    const known = {
      any: {
        type_url: 'type.googleapis.com/spec.web.Thing',
        typeUrl: 'type.googleapis.com/spec.web.Thing',
        value,
      },
    };
    expect(write(known)).to.deep.equal({
      any: { '@type': 'type.googleapis.com/spec.web.Thing', text: 'within' },
    });
    const unknown = { any: { typeUrl: 'x/not.Known', type_url: 'x/not.Known', value } };
    expect(() => write(unknown)).to.throw(TypeError, '`not.Known`');
  });

  const wrong: [json: unknown, says: string][] = [
    [{ somecount: 1 }, '`somecount` to be a field of spec.web.Thing: did you mean `someCount`?'],
    [{ zzzzzzzz: 1 }, '`zzzzzzzz` to be a field of spec.web.Thing: it has someCount'],
    [{ someCount: 'x' }, '`someCount` to be an integer from -2147483648 to 2147483647, got `x` (string)'],
    [{ someCount: 1.5 }, '`someCount`'],
    [{ someCount: '' }, '`someCount`'],
    [{ someCount: [1] }, '`someCount`'],
    [{ someCount: true }, '`someCount`'],
    [{ u32: -1 }, '`u32`'],
    [{ i64: '9223372036854775808' }, '`i64`'],
    [{ u64: '-1' }, '`u64`'],
    [{ flt: 1e300 }, '`flt`'],
    [{ dbl: 'much' }, '`dbl`'],
    [{ flag: 'true' }, '`flag`'],
    [{ text: 1 }, '`text`'],
    [{ data: '!' }, '`data`'],
    [{ data: 'YWJjZ' }, '`data` to be base64, got `YWJjZ`'],
    [{ data: 'a' }, '`data`'],
    [{ data: 'a=' }, '`data`'],
    [{ data: 'a===' }, '`data`'],
    [{ boxedData: 'YWJjZ===' }, '`boxedData.value`'],
    [{ color: 'PINK' }, '`color` to be one of RED, GREEN, BLUE, got `PINK`'],
    [{ color: 1.5 }, '`color`'],
    [{ inner: 'x' }, '`inner` to be an object'],
    [{ inner: { label: 1 } }, '`inner.label`'],
    [{ numbers: 1 }, '`numbers` to be a list'],
    [{ inners: [{}, { no: 1 }] }, '`inners[1].no`'],
    [{ sizes: [] }, '`sizes`'],
    [{ sizes: { a: 'b' } }, '`sizes.a`'],
    [{ byNumber: { x: {} } }, '`byNumber.x`'],
    [{ byNumber: { '1': {}, '1.0': {} } }, '`byNumber.1.0` to be there alone, got another name of it'],
    [{ at: 'today' }, '`at`'],
    [{ at: '9999-99-99T00:00:00Z' }, '`at`'],
    [{ at: '2030-02-30T00:00:00Z' }, '`at` to be a time'],
    [{ at: '2030-02-29T00:00:00+01:00' }, '`at`'],
    [{ at: '2030-04-31t00:00:00z' }, '`at`'],
    [{ at: '2030-01-31T24:00:00Z' }, '`at`'],
    [{ times: ['2028-02-29T00:00:00Z', '2030-02-29T00:00:00Z'] }, '`times[1]`'],
    [{ took: '1' }, '`took`'],
    [{ name: 'a', id: 1 }, '`id` to be there alone, got `name` as well'],
    [{ id: 0, name: '' }, '`name` to be there alone, got `id` as well'],
    [
      { inners: [{ thing: { deep: {}, name: 'a' } }] },
      '`inners[0].thing.name` to be there alone, got `deep`',
    ],
    [{ someCount: 1, some_count: 1 }, '`some_count` to be there alone, got another name of it'],
    [{ boxedLong: {} }, '`boxedLong.value`'],
    [{ any: {} }, '`any`'],
    [[], '`the request` to be an object'],
    [null, '`the request` to be an object'],
    ['x', '`the request` to be an object'],
    [JSON.parse('{"__proto__":{"flag":true}}'), '`__proto__`'],
    [JSON.parse(`{"value":${'['.repeat(5000)}${']'.repeat(5000)}}`), 'less deep than 100'],
  ];
  it('names the field that does not fit', () => {
    const { fromJson: read } = codec();
    for (const [json, says] of wrong) expect(() => read(json), says).to.throw(TypeError, says);
  });

  it('writes down where it is only when something does not fit there', () => {
    const { fromJson: read } = codec();
    const path = Object.getOwnPropertyDescriptor(Place.prototype, 'path') as { get(): string };
    let written = 0;
    const get = function (this: Place) {
      written += 1;
      return path.get.call(this);
    };
    Object.defineProperty(Place.prototype, 'path', { ...path, get });
    try {
      const times = ['2030-01-31T12:00:00Z', '2030-01-31T12:00:00Z'];
      const given = { numbers: [1, 2, 3], sizes: { a: 1, b: 2 }, times, list: [1, [2]], inners: [{}, {}] };
      read(given);
      expect(written).to.equal(0);
      const misfit = { ...given, inners: [{}, { thing: { sizes: { a: 1, b: true } } }] };
      expect(() => read(misfit)).to.throw('`inners[1].thing.sizes.b`');
      expect(written).to.equal(1);
    } finally {
      Object.defineProperty(Place.prototype, 'path', path);
    }
  });

  it('has one field of a oneof, the one that whoever decodes it has', () => {
    const asIs = codec({ ...Many, responseSerialize: (bytes: unknown) => bytes });
    for (const given of [
      { name: 'a', id: 1 },
      { id: 1, name: 'a' },
      { name: 'a', deep: { label: 'x' }, maybe: 0 },
      { inner: { thing: { name: 'a', id: 1 } } },
      { id: 1, name: 'a', byNumber: { 1: { thing: { id: 1, name: 'a' } } } },
    ]) {
      const bytes = everything().Many.responseSerialize(given);
      const decoded = JSON.stringify(toJson(Thing, fromBinary(Thing, bytes), { registry }));
      expect(JSON.parse(asIs.toText(bytes))).to.deep.equal(JSON.parse(decoded));
      expect(asIs.toJson(bytes)).to.deep.equal(JSON.parse(decoded));
    }
    const [first, second] = [{ deep: {} }, { name: 'a' }].map(given => Many.responseSerialize(given));
    expect(asIs.toText(Buffer.concat([first, second] as Buffer[]))).to.equal('{"name":"a"}');
    expect(codec().fromJson({ name: 'a', id: null })).to.deep.equal(codec().fromJson({ name: 'a' }));
    expect(() => codec().fromQuery?.({ name: 'a', id: '1' })).to.throw('`id` to be there alone, got `name`');
  });

  it('says what JSON cannot hold', () => {
    const { toText } = codec();
    const value = (numberValue: number) => ({ kind: 'numberValue', numberValue });
    for (const number of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
      for (const given of [
        { value: value(number) },
        { list: { values: [value(1), value(number)] } },
        { fields: { fields: { a: value(number) } } },
      ])
        expect(() => toText(given)).to.throw(TypeError, `to be finite, got ${number}`);
    expect(JSON.parse(toText({ value: value(0), list: { values: [value(-1.5)] } }))).to.deep.equal({
      value: 0,
      list: [-1.5],
    });
    for (const took of [{ seconds: '315576000001' }, { seconds: 1, nanos: -1 }, { nanos: 1_000_000_000 }])
      expect(() => toText({ took })).to.throw(TypeError, 'a duration of no more than 10000 years');
    expect(toText({ took: { seconds: 0, nanos: -5e8 } })).to.equal('{"took":"-0.500s"}');
  });

  it('reads keys that are booleans, which protobuf.js takes for texts', () => {
    expect((codec().fromJson({ byFlag: { false: 'GREEN', true: 'RED' } }) as any).byFlag).to.deep.equal({
      false: 'GREEN',
      true: 'RED',
    });
  });

  it('reads keys that are integers, however they are written', () => {
    const { fromJson: read, toText } = codec();
    const label = 'x';
    const given = { byNumber: { '1.0': { label }, '2e1': { label }, '-0': { label } } };
    expect(JSON.parse(toText(read(given)))).to.deep.equal({
      byNumber: { 0: { label }, 1: { label }, 20: { label } },
    });
  });

  it('takes null for what is not there', () => {
    expect(codec().fromJson({ text: null, inner: null, numbers: null, value: null })).to.deep.equal(
      codec().fromJson({ value: null }),
    );
  });

  it('reads a query, in which all values are texts', () => {
    const query = {
      someCount: '3',
      flag: 'true',
      words: 'one',
      numbers: ['1', '2'],
      inner: { label: 'x' },
      color: '1',
      at: '2030-01-31T00:00:00Z',
      boxedFlag: 'false',
    };
    const same = {
      ...query,
      someCount: 3,
      flag: true,
      words: ['one'],
      numbers: [1, 2],
      color: 'GREEN',
      boxedFlag: false,
    };
    expect(codec().fromQuery?.(query)).to.deep.equal(codec().fromJson(same));
    expect(() => codec().fromQuery?.({ flag: 'yes' })).to.throw(TypeError, '`flag` to be true or false');
  });
});
