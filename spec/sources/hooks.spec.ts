import { expect } from 'chai';
import { channel, poll, replay, topic } from '../../lib/sources/index.ts';
import { all, failure, settled, thrown } from './tools.ts';

const broken = () => Promise.reject(new Error('hook'));

/** What no hook is asked for, and how an error shows it. */
const wrong: [answer: () => unknown, shown: string][] = [
  [async () => true, '`Promise` (object): it is not waited for here'],
  [broken, '`Promise` (object): it is not waited for here'],
  [() => 'yes', '`yes` (string)'],
  [() => 1, '`1` (number)'],
  [() => undefined, '`undefined` (undefined)'],
];

describe('a hook of a source', () => {
  it('that is only told something changes nothing: onDrop()', async () => {
    const throws = () => {
      throw new Error('hook');
    };
    for (const onDrop of [broken, throws]) {
      const items = channel<number>({ capacity: 1, overflow: 'drop-oldest', onDrop });
      for (const item of [1, 2, 3]) void items.push(item);
      items.close();
      expect(await all(items)).to.deep.equal([3]);
      await settled();
    }
  });

  for (const [answer, shown] of wrong) {
    it(`ends its stream when it answers ${shown}: filter()`, async () => {
      const numbers = topic<number>({ history: 9, startAfter: 10 });
      const filter = answer as () => boolean;
      const live = numbers.subscribe({ filter });
      const whole = numbers.subscribe();
      numbers.publish(1);
      const late = numbers.subscribe({ filter, after: 10 });
      numbers.close();
      for (const subscription of [live, late])
        expect((await failure(subscription)).error)
          .to.be.instanceOf(TypeError)
          .with.property('message', `Expected \`filter()\` to return a boolean, got ${shown}`);
      expect(await all(whole)).to.deep.equal([1]);
      expect(numbers.subscribers).to.equal(0);
    });

    it(`is waited for, or ends its stream, when it answers ${shown}: until()`, async () => {
      const last = poll(() => 1, { everyMs: 0, until: answer as () => boolean });
      if (answer === wrong[0]?.[0]) expect(await all(last)).to.deep.equal([1]);
      else if (answer === broken) expect((await failure(last)).error.message).to.equal('hook');
      else
        expect((await failure(last)).error)
          .to.be.instanceOf(TypeError)
          .with.property('message', `Expected \`until()\` to return a boolean, got ${shown}`);
    });
  }

  it('polls on until a promise says that it was the last', async () => {
    let number = 0;
    const numbers = poll(() => ++number, { everyMs: 0, until: async value => value === 3 });
    expect(await all(numbers)).to.deep.equal([1, 2, 3]);
  });

  it('tells who publishes when a promise is to be a key, and publishes nothing: key()', async () => {
    for (const key of [broken, async () => 'A']) {
      const prices = topic<number>({ key });
      const subscription = prices.subscribe();
      expect(thrown(() => prices.publish(1)))
        .to.be.instanceOf(TypeError)
        .with.property(
          'message',
          'Expected `key()` to return a value to compare, got `Promise` (object): it is not waited for here',
        );
      prices.close();
      expect([await all(subscription), prices.last]).to.deep.equal([[], 0]);
      await settled();
    }
  });

  it('ends its stream when it answers what cannot be known again: id()', async () => {
    for (const id of [broken, async () => 1, () => ({ low: 1, high: 0 }), () => undefined, () => null]) {
      for (const joined of [replay([1], [], { id }), replay([], [1], { id })])
        expect((await failure(joined)).error)
          .to.be.instanceOf(TypeError)
          .with.property('message')
          .that.matches(/^Expected `id\(\)` to return a primitive, got /);
      await settled();
    }
  });
});
