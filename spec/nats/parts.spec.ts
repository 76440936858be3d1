import type { StreamInfo } from '@nats-io/jetstream';
import { expect } from 'chai';
import fc from 'fast-check';
import { isUnset } from '../../lib/nats/position.ts';
import { fitting, Sizes } from '../../lib/nats/sizes.ts';
import { checkSubjects, covers, madeBy, overlap } from '../../lib/nats/subjects.ts';
import { Window } from '../../lib/nats/window.ts';
import { failure } from '../sources/tools.ts';

describe('the subjects of NATS', () => {
  const words = fc.array(fc.constantFrom('a', 'b', '*'), { minLength: 1, maxLength: 3 });
  const pattern = fc
    .tuple(words, fc.boolean())
    .map(([words, rest]) => [...words, ...(rest ? ['>'] : [])].join('.'));
  const literal = fc
    .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 4 })
    .map(words => words.join('.'));
  const matches = (pattern: string, subject: string) =>
    new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '[^.]+').replace(/>$/, '.+')}$`).test(
      subject,
    );

  it('cover a subject when they match it', () => {
    fc.assert(
      fc.property(pattern, literal, (one, subject) => {
        expect(covers(one, subject)).to.equal(matches(one, subject));
        expect(overlap(one, subject)).to.equal(matches(one, subject));
      }),
    );
  });

  it('overlap when there is a subject that both match, and cover each other only then', () => {
    fc.assert(
      fc.property(pattern, pattern, literal, (one, other, subject) => {
        if (matches(one, subject) && matches(other, subject)) expect(overlap(one, other)).to.equal(true);
        if (covers(one, other)) expect(overlap(one, other)).to.equal(true);
        if (covers(one, other) && matches(other, subject)) expect(matches(one, subject)).to.equal(true);
      }),
      { numRuns: 1000 },
    );
  });

  it('are known of what a transformation makes, as far as it says', () => {
    for (const [destination, pattern] of [
      ['a.b', 'a.b'],
      ['a.{{wildcard(1)}}.$2', 'a.*.*'],
      ['{{ Partition(10, 1) }}.a', '*.a'],
      ['a.{{split(1,.)}}.b', 'a.>'],
      ['a.x{{left(1,2)}}', 'a.*'],
      ['a.{{SliceFromLeft(1,2)}}', 'a.>'],
      ['>', '>'],
    ] as const)
      expect(madeBy(destination)).to.equal(pattern);
  });

  it('are told from what is none', () => {
    const odd = ['a\0', 'a.\x07', '\x7f', '\ud800', 'a.\udc00', 'x'.repeat(1025)];
    for (const subject of ['a', 'a.*', '*', '>', 'a.>', '$x.y-z', 'ü.😀', 'x'.repeat(1024)])
      expect(() => checkSubjects('subjects', [subject])).not.to.throw();
    for (const subject of ['', '.', 'a.', '.a', 'a..b', 'a b', 'a.b*', '>.a', 'a.>.b', 1, null, ...odd])
      expect(() => checkSubjects('subjects', [subject]), String(subject)).to.throw(TypeError);
  });
});

describe('a position that was not set', () => {
  const info = (first_seq: number, config: object) => ({ config, state: { first_seq } }) as StreamInfo;
  const at = (sequence: number, ms?: number) => ({ sequence, ms });

  it('is 0 where numbers begin beyond 1, whatever is trimmed, and in a mirror that begins there', () => {
    for (const first of [7, 1000]) expect(isUnset(at(0), info(first, { first_seq: 7 }))).to.equal(true);
    expect(isUnset(at(0), info(7, { mirror: { name: 'other' } }))).to.equal(true);
  });

  it('is no 0 where numbers begin at 1, and nothing else', () => {
    for (const first_seq of [undefined, 0, 1])
      for (const first of [0, 1, 7]) expect(isUnset(at(0), info(first, { first_seq }))).to.equal(false);
    for (const first of [0, 1]) expect(isUnset(at(0), info(first, { mirror: {} }))).to.equal(false);
    for (const other of [at(1), at(6), at(0, 0)])
      expect(isUnset(other, info(7, { first_seq: 7 }))).to.equal(false);
  });
});

describe('how many messages NATS is asked for', () => {
  it('is as many as fit, by the size of what is stored and then of what comes', () => {
    const sizes = new Sizes({ bytes: 1000, messages: 10 });
    expect(sizes.fitting(5000, 500)).to.equal(50);
    for (let n = 0; n < 1000; n++) sizes.saw(1_000_000);
    expect(sizes.fitting(8_000_000, 500)).to.be.within(8, 9);
    for (let n = 0; n < 2000; n++) sizes.saw(1);
    expect(sizes.fitting(8_000_000, 500)).to.equal(500);
  });

  it('is at least one, and as many as are allowed when nothing is known or all is empty', () => {
    expect(fitting(1000, 500, { bytes: 1e9, messages: 1 })).to.equal(1);
    expect(fitting(1000, 500, { bytes: 0, messages: 0 })).to.equal(500);
    expect(fitting(1000, 500, { bytes: 0, messages: 100 })).to.equal(500);
  });
});

describe('the window on a stream', () => {
  it('has all from its base to its last, by the numbers of the stream, whatever is missing in between', async () => {
    const gaps = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(gaps, fc.integer({ min: 1, max: 8 }), fc.nat(100), async (gaps, history, begin) => {
        const window = new Window<number>(
          { history, capacity: 100, overflow: 'error' },
          { sequence: begin, ms: 7 },
        );
        const stored: number[] = [];
        let sequence = begin;
        for (const gap of gaps) {
          sequence += gap;
          stored.push(sequence);
          window.add(sequence, { sequence, ms: sequence * 10 });
        }
        window.pass({ sequence: sequence + 2, ms: undefined });
        const kept = stored.slice(-history);
        expect(window.base.sequence).to.equal(stored.at(-history - 1) ?? begin);
        const readers = [];
        for (let after = begin - 1; after <= sequence + 3; after++) {
          const covered = after >= window.base.sequence && after <= sequence + 2;
          expect(window.covers(after)).to.equal(covered);
          if (covered) readers.push([after, failure(window.subscribe({}, after))] as const);
          if (kept.includes(after)) expect(window.timeOf(after)).to.equal(after * 10);
        }
        window.end({ error: 'away' });
        window.add(-1, { sequence: sequence + 3, ms: 0 });
        window.close();
        for (const [after, reading] of readers) {
          const { items, error } = await reading;
          expect(items).to.deep.equal(stored.filter(number => number > after));
          expect(error).to.equal('away');
        }
        expect(window.covers(window.base.sequence)).to.equal(true);
      }),
    );
  });
});
