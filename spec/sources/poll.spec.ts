import { expect } from 'chai';
import { poll } from '../../lib/sources/index.ts';
import { all, failure, settled, taken } from './tools.ts';

describe('poll()', () => {
  it('yields each answer, up to and including the last', async () => {
    let step = 0;
    expect(await all(poll(() => ++step, { everyMs: 1, until: value => value === 4 }))).to.deep.equal([
      1, 2, 3, 4,
    ]);
    expect(step).to.equal(4);
  });

  it('asks at once, and then every so many milliseconds', async () => {
    const at: number[] = [];
    const started = performance.now();
    await taken(
      poll(() => at.push(performance.now() - started), { everyMs: 15 }),
      3,
    );
    expect(at[1]).to.be.within(13, 2000);
    expect(at[2]).to.be.within(26, 2000);
  });

  it('asks only when somebody waits', async () => {
    let asked = 0;
    const answers = poll(() => ++asked, { everyMs: 0 });
    await settled();
    expect(asked).to.equal(0);
    await answers.next();
    await new Promise(resolve => setTimeout(resolve, 10));
    expect(asked).to.equal(1);
    await answers.return?.();
  });

  it('ends with what the function throws', async () => {
    const broken = poll(
      () => {
        throw new Error('broken');
      },
      { everyMs: 0 },
    );
    expect((await failure(broken)).error.message).to.equal('broken');
  });

  it('tells the function that nobody waits any more', async () => {
    let told: AbortSignal | undefined;
    const answers = poll(
      signal => {
        told = signal;
        return new Promise<number>((_, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason)),
        );
      },
      { everyMs: 0 },
    );
    const parked = answers.next();
    await settled();
    await answers.return?.();
    expect(told?.aborted).to.equal(true);
    expect(await parked).to.deep.equal({ done: true, value: undefined });
  });

  it('says what is wrong with an option', () => {
    expect(() => poll(() => 1, undefined as never)).to.throw(
      TypeError,
      'Expected `options` to be an object, got `undefined` (undefined)',
    );
    expect(() => poll(() => 1, { everyMs: -1 })).to.throw(
      TypeError,
      'Expected `everyMs` to be a number of milliseconds from 0 and up, got `-1` (number)',
    );
    expect(() => poll(1 as never, { everyMs: 1 })).to.throw(TypeError, '`fn` to be a function');
  });
});
