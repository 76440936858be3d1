import { expect } from 'chai';
import { channel, chunk, from, merge, replay, topic } from '../../lib/sources/index.ts';
import { counter } from './tools.ts';

const enough = 200_000;

async function* ready(): AsyncGenerator<number> {
  for (let number = 1; number <= enough; number++) yield number;
}

const id = Number;

function queue(): AsyncIterable<number> {
  const items = channel<number>({ capacity: enough });
  for (let number = 1; number <= enough; number++) void items.push(number);
  return items;
}

/** A producer and a consumer that wake each other. */
function pair(): AsyncIterable<number> {
  const items = channel<number>({ capacity: 1 });
  void (async () => {
    for (let number = 1; number <= enough; number++) if (!(await items.push(number))) return;
  })();
  return items;
}

function history(): AsyncIterable<number> {
  const numbers = topic<number>({ history: enough });
  for (let number = 1; number <= enough; number++) numbers.publish(number);
  return numbers.subscribe({ after: 0 });
}

/** Each has its next item at once, `enough` times, or more. */
const sources: Record<string, () => AsyncIterable<unknown>> = {
  'chunk()': () => chunk(ready(), { maxItems: 2 * enough }),
  'small chunks': () => chunk(ready(), { maxItems: 2 }),
  'merge()': () => merge(ready(), counter(enough)),
  'from()': () => from(ready()),
  'from() of a list': () => from(Array(enough).fill(1)),
  'the history of replay()': () => replay(ready(), channel<number>(), { id }),
  'what replay() leaves out': () => replay([1, 2], Array(enough).fill(3), { id: () => 'same' }),
  'what is live in replay()': () => replay([], ready(), { id }),
  'a channel that is full': queue,
  'a channel that is filled as it is read': pair,
  'the history of a topic': history,
};

describe('what is always ready', () => {
  for (const [name, make] of Object.entries(sources))
    it(`lets timers and sockets have their turn: ${name}`, async () => {
      let items = 0;
      let over = false;
      const others = new Promise<number>(resolve => setImmediate(() => resolve(items)));
      const reading = (async () => {
        for await (const item of make()) {
          items += Array.isArray(item) ? item.length : 1;
          if (over) return;
        }
        items = enough;
      })();
      expect(await others).to.be.below(5000);
      over = true;
      await reading;
    });

  it('lets others have their turn where a filter takes nothing of what a topic has', async () => {
    const numbers = topic<number>({ history: enough });
    for (let number = 1; number <= enough; number++) numbers.publish(number);
    let looked = 0;
    const some = numbers.subscribe({
      after: 0,
      filter(number) {
        looked += 1;
        return number === enough;
      },
    });
    const last = some.next();
    await new Promise(resolve => setImmediate(resolve));
    expect(looked).to.be.below(5000);
    numbers.publish(enough + 1);
    numbers.close();
    expect(await last).to.deep.equal({ done: false, value: enough });
    expect(await some.next()).to.deep.equal({ done: true, value: undefined });
    expect(looked).to.equal(enough + 1);
  });

  it('lets a subscriber leave while it looks through history', async () => {
    const numbers = topic<number>({ history: enough });
    for (let number = 1; number <= enough; number++) numbers.publish(number);
    const none = numbers.subscribe({ after: 0, filter: () => false });
    const next = none.next();
    await none.return?.();
    expect(await next).to.deep.equal({ done: true, value: undefined });
    expect(numbers.subscribers).to.equal(0);
  });

  it('gives a chunk when its delay is over, not when its source has a pause', async () => {
    async function* slow(): AsyncGenerator<number> {
      for (let number = 1; number <= 2000; number++) {
        const until = performance.now() + 0.5;
        while (performance.now() < until);
        yield number;
      }
    }
    for await (const items of chunk(slow(), { maxItems: 2000, maxDelayMs: 5 })) {
      expect(items.length).to.be.below(500);
      break;
    }
  });

  it('asks nothing of a source that was left meanwhile', async () => {
    const source = counter();
    const items = from(source);
    while (source.pulled < 1023) await items.next();
    const next = items.next();
    const { pulled } = source;
    await items.return?.();
    expect(await next).to.deep.equal({ done: true, value: undefined });
    await new Promise(resolve => setImmediate(resolve));
    expect(source).to.deep.include({ pulled, returned: 1 });
  });
});
