import { createReadStream } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import { channel, replay, topic } from '../../lib/sources/index.ts';
import { all, counter, failure, settled, taken } from './tools.ts';

const id = (number: number) => number;

describe('replay()', () => {
  it('yields history, then what is live and was not in history', async () => {
    const numbers = topic<number>();
    const subscription = numbers.subscribe();
    for (const number of [3, 4, 5]) numbers.publish(number);
    const joined = replay([1, 2, 3, 4], subscription, { id });
    numbers.publish(6);
    numbers.close();
    expect(await all(joined)).to.deep.equal([1, 2, 3, 4, 5, 6]);
  });

  it('listens to a cold live stream before it asks for history', async () => {
    const log: string[] = [];
    async function* live(): AsyncGenerator<number> {
      log.push('live');
      yield 2;
    }
    const history = async () => {
      log.push('history');
      return [1, 2];
    };
    const joined = replay(history, live(), { id });
    await settled();
    expect(log).to.deep.equal([]);
    expect(await all(joined)).to.deep.equal([1, 2]);
    expect(log).to.deep.equal(['live', 'history']);
  });

  it('leaves no gap and repeats nothing, however publishing and reading are interleaved', async () => {
    const plan = fc.array(fc.constantFrom('write', 'write', 'read', 'turn'), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(plan, fc.nat(5), async (plan, before) => {
        const store: string[] = [];
        const updates = topic<string>();
        const write = () => {
          store.push(`#${store.length}`);
          updates.publish(`#${store.length - 1}`);
        };
        for (let count = 0; count < before; count++) write();
        async function* paged(): AsyncGenerator<string> {
          for (let index = 0; index < store.length; index++) {
            await Promise.resolve();
            yield store[index] as string;
          }
        }
        const joined = replay(paged, updates.subscribe(), { id: text => text });
        const reads: Promise<IteratorResult<string>>[] = [];
        for (const step of plan) {
          if (step === 'write') write();
          else if (step === 'read') reads.push(joined.next());
          else await settled();
        }
        updates.close();
        const first = (await Promise.all(reads)).flatMap(step => (step.done ? [] : [step.value]));
        expect([...first, ...(await all(joined))]).to.deep.equal(store);
      }),
      { numRuns: 300 },
    );
  });

  it('yields history before the error of a live stream that failed meanwhile', async () => {
    const live = channel<number>();
    live.fail(new Error('too slow'));
    const { items, error } = await failure(replay(counter(3), live, { id }));
    expect(items).to.deep.equal([1, 2, 3]);
    expect(error.message).to.equal('too slow');
  });

  it('ends both when history fails', async () => {
    const live = channel<number>();
    const history = () => Promise.reject(new Error('no database'));
    expect((await failure(replay(history, live, { id }))).error.message).to.equal('no database');
    expect(live.writable).to.equal(false);
  });

  it('returns both, at whatever point it is left', async () => {
    for (const reads of [0, 1, 2, 3]) {
      const [history, live] = [counter(2), channel<number>()];
      void live.push(3);
      const joined = replay(history, live, { id });
      await taken(joined, reads);
      await joined.return?.();
      expect(history.returned, `after ${reads}`).to.equal(reads < 3 ? 1 : 0);
      expect(live.writable).to.equal(false);
    }
  });

  it('releases a history that arrives after it was left', async () => {
    const history = counter();
    let answer: (stream: typeof history) => void = () => {};
    const joined = replay(
      () =>
        new Promise<typeof history>(resolve => {
          answer = resolve;
        }),
      channel<number>(),
      { id },
    );
    const parked = joined.next();
    const left = joined.return?.();
    expect(await parked).to.deep.equal({ done: true, value: undefined });
    answer(history);
    await left;
    expect(history).to.include({ pulled: 0, returned: 1 });
  });

  it('remembers a bounded number of ids', async () => {
    const live = [1, 2, 3, 4, 5];
    expect(await all(replay([1, 2, 3, 4], live, { id, window: 2 }))).to.deep.equal([1, 2, 3, 4, 1, 2, 5]);
  });

  it('tells of a history that is not there once it is read', async () => {
    const joined = replay<unknown>(createReadStream('/missing'), [], { id: item => item });
    await wait(15);
    expect((await failure(joined)).error).to.include({ code: 'ENOENT' });
  });

  it('says what is wrong with an option', () => {
    expect(() => replay([], [], undefined as never)).to.throw(
      TypeError,
      'Expected `options` to be an object, got `undefined` (undefined)',
    );
    expect(() => replay([], [], { id: 'id' as never })).to.throw(
      TypeError,
      'Expected `id` to be a function, got `id` (string)',
    );
    expect(() => replay(1 as never, [], { id })).to.throw(
      TypeError,
      '`history` to be a stream or a function',
    );
  });
});
