import { expect } from 'chai';
import { backoff } from '../../lib/client/index.ts';

describe('backoff()', () => {
  it('C18 draws evenly from 0 to a longest wait that doubles, up to a cap', () => {
    const longest = backoff({ random: () => 1 });
    expect([1, 2, 3, 4, 5, 6, 5000].map(longest)).to.deep.equal([
      2000, 4000, 8000, 16000, 30000, 30000, 30000,
    ]);
    expect(backoff({ random: () => 0 })(3)).to.equal(0);
    expect(backoff({ baseMs: 10, maxMs: 100, factor: 3, random: () => 0.5 })(2)).to.equal(45);
  });

  it('C18 has full jitter: every part of the range is as likely as any other', () => {
    const wait = backoff({ baseMs: 500 });
    const tenths = Array<number>(10).fill(0);
    for (let draw = 0; draw < 10_000; draw++) {
      const tenth = Math.floor(wait(1) / 100);
      tenths[tenth] = (tenths[tenth] as number) + 1;
    }
    for (const count of tenths) expect(count).to.be.within(800, 1200);
  });

  it('is a number after any number of retries', () => {
    expect(backoff({ baseMs: 0 })(5000)).to.equal(0);
    expect(backoff({ maxMs: Infinity, random: () => 0 })(5000)).to.equal(0);
  });

  it('says what is wrong with an option', () => {
    expect(() => backoff({ baseMs: -1 })).to.throw(
      TypeError,
      'Expected `baseMs` to be a number of milliseconds from 0 and up, got `-1` (number)',
    );
    expect(() => backoff({ factor: 0 })).to.throw(TypeError, '`factor` to be a number from 1 and up');
  });
});
