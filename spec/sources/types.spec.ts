import { expect } from 'chai';
import { channel, chunk, from, merge, poll, replay, topic } from '../../lib/sources/index.ts';

/** True when two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
type Yielded<S> = S extends AsyncIterable<infer T> ? T : never;
const same = <A, B>(_same: Same<A, B>): void => {};

/** Only compiled. */
function types(): void {
  const merged = merge(channel<number>(), ['a'], new ReadableStream<boolean>());
  same<Yielded<typeof merged>, number | string | boolean>(true);
  const bounded = merge(channel<number>(), channel<string>(), { concurrency: 2 });
  same<Yielded<typeof bounded>, number | string>(true);
  const list = merge(...[1, 2].map(() => channel<number>()), { concurrency: 2 });
  same<Yielded<typeof list>, number>(true);

  const chunks = chunk(channel<number>(), { maxItems: 2 });
  same<Yielded<typeof chunks>, number[]>(true);
  const joined = replay([1], topic<number>().subscribe(), { id: number => number });
  same<Yielded<typeof joined>, number>(true);
  const polled = poll(async () => ({ done: true }), { everyMs: 1, until: ({ done }) => done });
  same<Yielded<typeof polled>, { done: boolean }>(true);
  const numbers = from([1]);
  same<Yielded<typeof numbers>, number>(true);

  // @ts-expect-error a topic waits for nobody
  topic({ overflow: 'wait' });
  // @ts-expect-error a channel has no keys
  channel({ overflow: 'conflate' });
  // @ts-expect-error another item
  topic<number>().publish('a');
}

describe('the types of the sources', () => {
  it('flow from what goes in to what comes out', () => {
    expect(types).to.be.a('function');
  });
});
