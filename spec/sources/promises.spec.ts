import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { configure, mount, StatusError } from '../../lib/index.ts';
import { chunk, from, merge, replay } from '../../lib/sources/index.ts';
import { type AnySource, definition, quiet, serve, start, stopAll, turn, until } from '../support/harness.ts';
import { thrown } from './tools.ts';

/** The first is fulfilled only after another one has rejected, which nobody asks for before. */
function promises(): Promise<number>[] {
  const failed = Promise.reject<number>(new StatusError(status.ABORTED, 'part failed'));
  const first = (async () => {
    for (let turns = 0; turns < 5; turns++) await turn();
    return 1;
  })();
  return [first, failed, Promise.resolve(3), Promise.reject(new Error('another'))];
}

const lists: Record<string, () => Iterable<Promise<number>>> = {
  'a list': promises,
  'a set': () => new Set(promises()),
  'the values of a list': () => promises().values(),
  'the values of a map': () => new Map(promises().map((one, key) => [key, one])).values(),
};

const ways: Record<string, (list: () => Iterable<Promise<number>>) => AnySource> = {
  'as it is': list => list,
  'by promise': list => async () => list(),
  'by from()': list => () => from(list()),
  'by merge()': list => () => merge(list()),
  'by chunk()': list =>
    async function* () {
      for await (const items of chunk(list(), { maxItems: 1 })) yield items[0];
    },
  'by replay(), as history': list => () => replay(list(), [], { id: Number }),
  'by replay(), as what is live': list => () => replay([], list(), { id: Number }),
};

// The suite fails by itself when a rejection is nobody's.
describe('promises that reject before they are asked for', () => {
  afterEach(stopAll);

  for (const [what, list] of Object.entries(lists))
    for (const [way, source] of Object.entries(ways)) {
      it(`end the call with what was before: ${what}, ${way}`, async () => {
        const { call } = await serve('mount', source(list));
        const { code, messages } = await call();
        expect({ code, messages }).to.deep.equal({ code: status.ABORTED, messages: [1] });
      });

      it(`harm nobody when the call is over: ${what}, ${way}`, async () => {
        let asked = false;
        const { open } = await serve('mount', (request, call) => {
          asked = true;
          return source(list)(request, call);
        });
        const { cancel, reply } = open();
        await until('the source is asked', () => asked);
        cancel();
        expect((await reply).code).to.equal(status.CANCELLED);
        for (let turns = 0; turns < 10; turns++) await turn();
      });
    }

  it('harm nobody where their list waits for its turn', async () => {
    const { call } = await serve('mount', () => merge([0], promises(), { concurrency: 1 }));
    const { code, messages } = await call();
    expect({ code, messages }).to.deep.equal({ code: status.ABORTED, messages: [0, 1] });
  });

  it('harm nobody where they were taken for streams', async () => {
    const failed = () => Promise.reject(new Error('no stream')) as never;
    for (const misuse of [
      () => merge([1], failed()),
      () => from(failed()),
      () => chunk(failed(), { maxItems: 1 }),
      () => replay(failed(), [], { id: Number }),
      () => replay([], failed(), { id: Number }),
    ])
      expect(thrown(misuse)).to.be.instanceOf(TypeError);
    await turn();
  });

  it('close what they came from', async () => {
    let closed = 0;
    function* list(): Generator<Promise<number>> {
      try {
        yield Promise.reject(new StatusError(status.ABORTED, 'part failed'));
      } finally {
        closed += 1;
      }
    }
    for (const source of [list, () => merge(list()), () => from(list())]) {
      const { call } = await serve('mount', source);
      expect((await call()).code).to.equal(status.ABORTED);
    }
    expect(closed).to.equal(3);
  });

  it('do not begin what is only like a promise before its turn', async () => {
    const log: string[] = [];
    const query = (name: string) => ({
      // biome-ignore lint/suspicious/noThenProperty: so do the builders of queries.
      then(resolve: (rows: string) => void) {
        log.push(name);
        resolve(name);
      },
    });
    const { call } = await serve('mount', () => [query('a'), query('b')]);
    expect(await call()).to.deep.include({ code: status.OK, messages: ['a', 'b'] });
    expect(log).to.deep.equal(['a', 'b']);
  });

  it('may be of a stream, and come when its call is over', async () => {
    const told: unknown[] = [];
    let fail: (error: Error) => void = () => {};
    const source: AnySource = () =>
      new Promise((_, reject) => {
        fail = reject;
      });
    const hear = configure({ onError: error => void told.push((error as Error).message) });
    const { open } = await start(server => mount(server, definition, { stream: source }, quiet, hear));
    const { cancel, reply } = open();
    await turn();
    setTimeout(cancel, 10);
    expect((await reply).code).to.equal(status.CANCELLED);
    fail(new Error('too late'));
    await until('it is reported', () => told.length > 0);
    expect(told).to.deep.equal(['too late']);
  });

  it('may be like a promise, and throw', async () => {
    const odd = {
      // biome-ignore lint/suspicious/noThenProperty: what is tried here.
      then() {
        throw new StatusError(status.ABORTED, 'odd');
      },
    };
    for (const source of [() => odd, () => [odd], () => merge([odd]), () => from([odd])]) {
      const { call } = await serve('mount', source as never);
      expect((await call()).code).to.equal(status.ABORTED);
    }
  });
});
