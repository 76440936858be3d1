import { expect } from 'chai';
import { sleep } from '../../lib/sources/index.ts';
import { countTimers, listeners } from './tools.ts';

describe('sleep()', () => {
  it('waits', async () => {
    const started = performance.now();
    await sleep(10);
    expect(performance.now() - started).to.be.within(9, 2000);
  });

  it('throws the reason of its signal at once, and leaves no timer or listener', async () => {
    const timers = countTimers();
    const controller = new AbortController();
    const reason = new Error('left');
    const sleeping = sleep(60_000, controller.signal).catch(error => error);
    expect(listeners(controller.signal)).to.equal(1);
    controller.abort(reason);
    expect(await sleeping).to.equal(reason);
    expect(await sleep(1, controller.signal).catch(error => error)).to.equal(reason);
    timers.restore();
    expect([timers.size, listeners(controller.signal)]).to.deep.equal([0, 0]);
  });

  it('leaves no listener when it has waited', async () => {
    const { signal } = new AbortController();
    await sleep(0, signal);
    expect(listeners(signal)).to.equal(0);
  });

  it('C27 waits for longer than one timer can', async () => {
    for (const ms of [2 ** 31, Infinity]) {
      const controller = new AbortController();
      let over = false;
      const sleeping = sleep(ms, controller.signal).then(
        () => {
          over = true;
        },
        () => {},
      );
      await sleep(10);
      expect(over).to.equal(false);
      controller.abort();
      await sleeping;
    }
  });

  it('says what is wrong with its arguments', () => {
    expect(() => sleep(-1)).to.throw(
      TypeError,
      'Expected `ms` to be a number of milliseconds from 0 and up, got `-1` (number)',
    );
    expect(() => sleep(1, {} as never)).to.throw(TypeError, 'Expected `signal` to be an AbortSignal');
  });
});
