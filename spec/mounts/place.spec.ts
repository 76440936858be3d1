import { expect } from 'chai';
import { configure, mount, produce, wrap } from '../../lib/index.ts';
import { batch } from '../../middleware/batch.ts';
import { heartbeat } from '../../middleware/heartbeat.ts';
import { start, stopAll } from '../support/harness.ts';
import { byHand, calling, kinds, service, streamsOut } from '../support/kinds.ts';

const answer = async (requests: unknown) => {
  if (typeof requests === 'object' && requests !== null && Symbol.asyncIterator in requests)
    for await (const _ of requests as AsyncIterable<unknown>);
  return { num: 1 };
};
const stream = async function* (requests: unknown) {
  yield await answer(requests);
};
const beats = () => heartbeat({ make: () => ({}) });

describe('a middleware for streams, by name', () => {
  const reports: unknown[] = [];
  const loud = configure({ onError: error => reports.push(error) });
  beforeEach(() => {
    reports.length = 0;
  });
  afterEach(stopAll);

  const makers = {
    produce: (kind: (typeof kinds)[number], ...list: any[]) =>
      produce((streamsOut(kind) ? stream : answer) as never, ...list),
    wrap: (kind: (typeof kinds)[number], ...list: any[]) =>
      wrap(byHand(kind, streamsOut(kind) ? stream : answer).handler as never, ...list),
    'wrap of wrap': (kind: (typeof kinds)[number], ...list: any[]) =>
      wrap(wrap(byHand(kind, streamsOut(kind) ? stream : answer).handler as never, ...list) as never),
  };

  for (const [on, make] of Object.entries(makers))
    for (const kind of kinds)
      it(`${streamsOut(kind) ? 'is fine' : 'is reported, once, and does no harm'} on a method of ${kind}, on ${on}`, async () => {
        const handler = make(kind, loud, batch(), beats()) as never;
        const server = await start(one => one.addService({ [kind]: service[kind] }, { [kind]: handler }));
        for (let calls = 0; calls < 3; calls++)
          expect(await calling(server, kind, [1]).reply).to.deep.include({ code: 0, messages: [{ num: 1 }] });
        expect(reports.map(String)).to.deep.equal(
          streamsOut(kind)
            ? []
            : [
                `TypeError: Expected \`batch()\` to stand on a method whose response is a stream, and \`${service[kind].path}\` answers with one message`,
              ],
        );
      });

  it('may stand in the list of a whole service, or implementation, or of an implementation that is mounted', async () => {
    const handlers = wrap({ unary: byHand('unary', answer).handler }, loud, batch(), beats());
    for (const setUp of [
      (one: any) => one.addService({ unary: service.unary }, handlers),
      (one: any) => mount(one, { unary: service.unary }, handlers as never),
      (one: any) => mount(one, { unary: service.unary }, { unary: answer } as never, loud, batch()),
      (one: any) => mount(one, { unary: service.unary }, { unary: produce(answer) } as never, loud, batch()),
      (one: any) =>
        mount(
          one,
          { unary: service.unary },
          { unary: wrap(byHand('unary', answer).handler as never) } as never,
          loud,
          batch(),
        ),
    ]) {
      const server = await start(setUp);
      expect(await calling(server, 'unary', [1]).reply).to.deep.include({ code: 0, messages: [{ num: 1 }] });
    }
    expect(reports).to.deep.equal([]);
  });

  it('is refused by mount, also when it was given to wrap', () => {
    const what = /^Expected `heartbeat\(\)` to stand on a method whose response is a stream/;
    for (const unary of [produce(answer, beats()), wrap(byHand('unary', answer).handler as never, beats())])
      expect(() => mount({ addService() {} } as never, service, { unary } as never)).to.throw(
        TypeError,
        what,
      );
  });
});
