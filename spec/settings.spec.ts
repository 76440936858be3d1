import { Metadata } from '@grpc/grpc-js';
import { expect } from 'chai';
import { show } from '../lib/check.ts';
import { serverOptions } from '../lib/index.ts';
import { topic } from '../lib/sources/index.ts';
import { metadata } from '../middleware/metadata.ts';
import { readPages } from './support/docs/pages.ts';
import { type Member, members, roomOf } from './support/option-types.ts';
import { type Options, settings } from './support/options.ts';

const UNITS: Record<string, number> = {
  ...{ MiB: 1024 ** 2, KiB: 1024, s: 1000, second: 1000, seconds: 1000, minute: 60_000, minutes: 60_000 },
};

/** What nobody means. Of each there is an option that it is right for. */
const values: readonly unknown[] = [
  ...[null, true, 0.5, Number.NaN, -1, 1n, '~', Symbol('~'), {}, [null], new Date(0)],
  function mistaken() {},
];

/** What is handed on as it is, or comes from clients, whose mistakes are answered with a status. */
const FREE = /^(?:unknown|Token|After)$/;
/** What lists the words that it takes. */
const WORDS = /^(?:'|SlowConsumer|Overflow|Exclude<Overflow|Exceptions|Semconv|Kind)/;

const kindOf = (value: unknown): string => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'list';
  return value instanceof Date ? 'date' : typeof value;
};

const minimumOf = (member: Member | undefined): number => {
  const [, minimum] = /Minimum (\d[\d.]*\d|\d)/.exec(member?.comment ?? '') ?? [];
  return Number(minimum ?? Number.NEGATIVE_INFINITY);
};

/** Whether a value is none for this option. */
function isWrong(
  value: unknown,
  name: string,
  { names, also }: Options,
  member: Member | undefined,
): boolean {
  const right = names[name];
  const kind = kindOf(value);
  if (also?.[name]?.includes(kind)) return false;
  // What is no literal is more than options, and may have what they have.
  if (kind === 'date' && kindOf(right) === 'object') return false;
  if (kind !== kindOf(right)) return true;
  if (typeof value === 'number') return !(value >= minimumOf(member));
  if (typeof value === 'string') return WORDS.test(member?.type ?? '');
  return kind === 'list';
}

const membersOf = ({ type }: Options): Member[] => (type === undefined ? [] : members(type));
const typed = Object.entries(settings).flatMap(([what, options]) =>
  membersOf(options).map(member => ({ what, options, member })),
);

/** What a comment says is the default, where that is a plain value. */
const defaultOf = ({ comment }: Member): string | undefined =>
  /@default (\d[\d.]*|'[^']*'|true|false|Infinity)$/.exec(comment)?.[1];

describe('the values of options', () => {
  for (const [what, options] of Object.entries(settings))
    describe(what, () => {
      const known = membersOf(options);
      for (const name of Object.keys(options.names)) {
        const member = known.find(one => one.name === name);
        if (!FREE.test(member?.type ?? ''))
          it(`are refused when they are no \`${name}\``, () => refuses(name, options, member));
      }
    });

  it('are refused below the minimum that a comment has, and taken from there', () => {
    for (const { what, options, member } of typed) {
      const minimum = minimumOf(member);
      if (minimum === Number.NEGATIVE_INFINITY) continue;
      const use = (value: number) => options.use({ ...options.needed, [member.name]: value });
      expect(() => use(minimum), `${what} ${member.name}`).not.to.throw();
      expect(() => use(minimum - 0.0001), `${what} ${member.name}`).to.throw(TypeError, member.name);
    }
  });

  it('have a minimum, where they are numbers, and a unit', () => {
    for (const { what, member } of typed) {
      const { name, comment, type } = member;
      if (type !== 'number') continue;
      expect(comment, `${what} ${name}`).to.match(/[Mm]inimum \d|from 0 to 1/);
      if (name.endsWith('Ms')) expect(comment, `${what} ${name}`).to.include('millisecond');
    }
  });

  it('have the defaults that the comments have', () => {
    let found = 0;
    for (const { what, options, member } of typed) {
      const said = defaultOf(member);
      if (said === undefined) continue;
      const text = roomOf(options.type as string).replaceAll(/(?<=\d)_(?=\d)/g, '');
      const made = new RegExp(
        `\\b(?:${member.name}(?:: \\w+)?|DEFAULT_\\w+) ?[=:] ${said.replaceAll('.', '\\.')}(?![\\w.])`,
      );
      expect(made.test(text), `${what} ${member.name} = ${said}`).to.equal(true);
      found += 1;
    }
    expect(found).to.be.above(40);
  });
});

describe('what is no value, and looks like one', () => {
  it('is refused as headers and trailers: what a Map has is no property of it', () => {
    for (const fields of [new Map([['x-a', '1']]), new Metadata(), [['x-a', '1']], new Headers()])
      for (const name of ['header', 'trailer'])
        expect(() => metadata({ [name]: fields }), name).to.throw(
          TypeError,
          `\`${name}\` to be an object of`,
        );
  });

  it('is refused as the place to go on at: what metadata has of a header is a list', () => {
    const header = new Metadata();
    header.set('last-event-id', '5');
    for (const after of [header.get('last-event-id'), [], {}, true, false, Symbol('5'), () => 5])
      expect(() => topic().subscribe({ after: after as never })).to.throw(
        TypeError,
        'Expected `after` to be',
      );
  });

  it('is refused where grpc-js would set a timer that fires at once', () => {
    for (const name of ['grpc.max_connection_age_ms', 'grpc.keepalive_time_ms'])
      for (const value of [Infinity, 2 ** 31, '60000', null, -1])
        expect(() => serverOptions({ [name]: value } as never)).to.throw(TypeError, `\`${name}\` to be`);
    for (const interceptors of [null, {}, [null], () => {}])
      expect(() => serverOptions({ interceptors } as never)).to.throw(TypeError, 'a list of interceptors');
    expect(serverOptions({ 'grpc.max_receive_message_length': -1 })).to.include({
      'grpc.max_receive_message_length': -1,
    });
  });
});

describe('what pages say of options', () => {
  const pages = readPages();
  const known = new Map<string, Set<string>>();
  for (const { member } of typed) {
    const said = defaultOf(member);
    if (said !== undefined) known.set(member.name, (known.get(member.name) ?? new Set()).add(said));
  }
  for (const [name, value] of Object.entries(serverOptions())) known.set(name, new Set([String(value)]));

  it('is what they have as their default', () => {
    let found = 0;
    for (const { path, text } of pages) {
      for (const [, name = '', count = '', unit = ''] of text.matchAll(
        /`([\w.]+)` (?:\(|\| )(a|\d[\d,.]*)(?: (MiB|KiB|seconds?|s|minutes?|ms)\b| \|)/g,
      )) {
        const said = known.get(name);
        if (said === undefined) continue;
        const value = Number(count.replace('a', '1').replaceAll(',', '')) * (UNITS[unit] ?? 1);
        expect([...said], `${path}: ${name}`).to.include(String(value));
        found += 1;
      }
    }
    expect(found).to.be.above(8);
  });
});

function refuses(name: string, options: Options, member: Member | undefined): void {
  const { needed, use, within } = options;
  for (const value of values) {
    if (!isWrong(value, name, options, member)) continue;
    const kind = kindOf(value);
    // Of what has parts, the part that is wrong is shown.
    const whole = within === undefined && !['list', 'object', 'date', 'function'].includes(kind);
    const shown = whole ? `, got ${show(value)}` : ', got ';
    expect(() => use({ ...needed, [name]: value }), `${name}: ${kind}`)
      .to.throw(TypeError)
      .with.property('message')
      .that.matches(/^Expected `/)
      .and.includes(within ?? name)
      .and.includes(shown);
  }
}
