import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { type Call, configure, type Middleware, StatusError } from '../../lib/index.ts';
import { batch } from '../../middleware/batch.ts';
import { checksum } from '../../middleware/checksum.ts';
import { errors } from '../../middleware/errors.ts';
import { type Logger, logging } from '../../middleware/logging.ts';
import { metadata } from '../../middleware/metadata.ts';
import { metrics } from '../../middleware/metrics.ts';
import { tracing } from '../../middleware/tracing.ts';
import { type AnySource, type Reply, serve, stopAll, until } from '../support/harness.ts';
import { startOtel } from '../support/otel.ts';

/** Answers that no hook may give which is not waited for: the guard of the suite sees a rejection that escapes. */
const promises: Record<string, (answer: unknown) => () => unknown> = {
  'a promise': answer => async () => answer,
  'a promise that rejects': () => async () => Promise.reject(new Error('later')),
};

const two: AnySource = () => [1, 2];

/** What a client reads, and what was reported. */
async function called(source: AnySource, ...list: Middleware[]): Promise<{ reply: Reply; told: string[] }> {
  const told: string[] = [];
  const hear = configure({ onError: error => void told.push(String(error)) });
  const server = await serve('mount', source, [hear, ...list]);
  return { reply: await server.call(), told };
}

describe('what hooks of middleware answer', () => {
  afterEach(stopAll);

  describe('ends the call where it decides something, and is reported by the name of the hook', () => {
    const cases: [hook: string, right: unknown, wrong: unknown[], make: (hook: any) => Middleware][] = [
      ['merge', 1, [undefined, null], merge => batch({ maxItems: 2, merge })],
      ['size', 1, ['1', Number.NaN, -1, undefined], size => batch({ maxItems: 2, size })],
      ['bytes', 'a', [1, undefined, {}], bytes => checksum({ bytes })],
      ['header.x-a', 'a', [{}, true, null, [undefined]], hook => metadata({ header: { 'x-a': hook } })],
      ['trailer.x-a', 'a', [{}, true, null, [[]]], hook => metadata({ trailer: { 'x-a': hook } })],
    ];
    for (const [hook, right, wrong, make] of cases) {
      const answers = {
        ...promises,
        ...Object.fromEntries(wrong.map(value => [String(value), () => () => value])),
      };
      for (const [what, answer] of Object.entries(answers))
        it(`${hook}: ${what}`, async () => {
          const { reply, told } = await called(two, make(answer(right)));
          expect(reply).to.include({ code: status.UNKNOWN, details: 'internal error' });
          expect(told.length).to.equal(1);
          expect(told[0]).to.include(`TypeError: Expected \`${hook}()\` to return `);
          if (what in promises) expect(told[0]).to.include('it is not waited for here');
        });
      it(`${hook}: what is right`, async () => {
        const { reply, told } = await called(
          two,
          make(() => right),
        );
        expect({ code: reply.code, told }).to.deep.equal({ code: 0, told: [] });
      });
    }
  });

  describe('errors()', () => {
    const failing: AnySource = () => {
      throw new RangeError('secret');
    };
    for (const [what, answer] of Object.entries(promises)) {
      it(`takes no predicate for true that answers with ${what}`, async () => {
        const rules = errors({ rules: [[answer(true) as never, status.NOT_FOUND]] });
        const { reply, told } = await called(failing, rules);
        expect(reply).to.include({ code: status.UNKNOWN, details: 'internal error' });
        expect(told[0]).to.include('TypeError: Expected `rules[0][0]()` to return a boolean, got `Promise`');
        expect(told[1]).to.equal('RangeError: secret');
        expect(told).to.have.length(2);
      });

      it(`takes no answer that is ${what}`, async () => {
        const rules = errors({ rules: [[RangeError, answer(status.NOT_FOUND) as never]] });
        const { reply, told } = await called(failing, rules);
        expect(reply).to.include({ code: status.UNKNOWN, details: 'internal error' });
        expect(told[0]).to.include('TypeError: Expected `rules[0][1]()` to return a status, got `Promise`');
        expect(told[1]).to.equal('RangeError: secret');
      });

      it(`makes an id of its own when makeId answers with ${what}`, async () => {
        const { reply, told } = await called(failing, errors({ makeId: answer('id') as never }));
        expect(reply.trailer.get('x-error-id')[0]).to.match(/^[0-9a-f]{8}-/);
        expect(told[0]).to.include('TypeError: Expected `makeId()` to return a string, got `Promise`');
        expect(told[1]).to.equal('RangeError: secret');
      });
    }

    it('makes an id of its own when that of makeId cannot be sent', async () => {
      for (const id of ['größe', 7, undefined]) {
        const { reply, told } = await called(failing, errors({ makeId: () => id as never }));
        expect(reply.trailer.get('x-error-id')[0]).to.match(/^[0-9a-f]{8}-/);
        expect(told).to.have.length(2);
      }
    });

    it('takes for true what is true', async () => {
      const rules = errors({
        rules: [
          [() => undefined as never, status.DATA_LOSS],
          [() => 'yes' as never, status.NOT_FOUND],
        ],
      });
      expect((await called(failing, rules)).reply.code).to.equal(status.NOT_FOUND);
    });

    it('refuses an answer whose parts are of the wrong kind', () => {
      for (const [answer, sentence] of [
        [{ code: 5, detail: '' }, 'did you mean `details`?'],
        [{ code: 5, details: 7 }, 'Expected `rules[0][1].details` to be a string, got `7`'],
        [{ code: 5, metadata: {} }, 'Expected `rules[0][1].metadata` to be a grpc.Metadata'],
      ] as const)
        expect(() => errors({ rules: [[1, answer as never]] })).to.throw(TypeError, sentence);
      errors({ rules: [[1, new StatusError(status.NOT_FOUND, 'no', { cause: 1 })]] });
    });
  });

  describe('logging()', () => {
    function logger(answer: () => unknown = () => {}): { lines: [string, string][]; logger: Logger } {
      const lines: [string, string][] = [];
      const at = (level: string) => (text: string) => {
        lines.push([level, text]);
        return answer();
      };
      return {
        lines,
        logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
      };
    }

    const levels: Record<string, () => unknown> = {
      ...Object.fromEntries(Object.entries(promises).map(([name, answer]) => [name, answer('warn')])),
      'a name of none': () => 'fatal',
      'a throw': () => {
        throw new Error('no level');
      },
    };
    for (const [what, level] of Object.entries(levels))
      it(`writes at the default level when level answers with ${what}, and says so once`, async () => {
        const to = logger();
        const told: string[] = [];
        const server = await serve('mount', two, [
          configure({ onError: error => void told.push(String(error)) }),
          logging({ logger: to.logger, level: level as never, start: false }),
        ]);
        for (let i = 0; i < 3; i++) expect((await server.call()).code).to.equal(0);
        expect(to.lines).to.deep.equal(Array(3).fill(['info', 'stream finished']));
        expect(told).to.have.length(1);
        expect(told[0]).to.match(/`level\(\)` to return a level or nothing|no level/);
      });

    for (const [what, answer] of Object.entries(promises))
      it(`does not mind a logger that answers with ${what}`, async () => {
        const to = logger(answer(1));
        const { reply, told } = await called(two, logging({ logger: to.logger }));
        expect(reply.code).to.equal(0);
        expect(to.lines).to.have.length(2);
        expect(told).to.deep.equal([]);
      });
  });

  it('batch() reports what onDrop fails with, at once or later, and goes on', async () => {
    const parked: AnySource = async function* (_request, call: Call) {
      yield 1;
      await new Promise(resolve => call.signal.addEventListener('abort', resolve));
    };
    for (const onDrop of [
      async () => Promise.reject(new Error('not dropped')),
      () => {
        throw new Error('not dropped');
      },
    ]) {
      const told: string[] = [];
      let held = 0;
      const ends: string[] = [];
      const server = await serve('mount', parked, [
        configure({ onError: error => void told.push(String(error)) }),
        () => ({ end: ({ reason }) => void ends.push(reason) }),
        batch({ onDrop, maxDelayMs: 60_000 }),
        (_call, next) => ({
          message(message) {
            held += 1;
            next.message(message);
          },
        }),
      ]);
      const calling = server.open();
      await until('a message waits', () => held === 1);
      calling.cancel();
      await until('it is told', () => told.length > 0 && ends.length > 0);
      expect({ told, ends }).to.deep.equal({ told: ['Error: not dropped'], ends: ['cancelled'] });
    }
  });

  describe('tracing() and metrics()', () => {
    const failing: AnySource = () => {
      throw new StatusError(status.NOT_FOUND, 'no');
    };
    const hooks: [hook: string, wrong: unknown[], make: (hook: any) => Middleware][] = [
      ['links', [7, [{}], 'link'], links => tracing({ links })],
      ['spanAttributes', ['a', 7, []], spanAttributes => tracing({ spanAttributes })],
      ['publicEndpoint', ['no', undefined], publicEndpoint => tracing({ publicEndpoint })],
      ['isError', ['no', 0], isError => tracing({ isError })],
      ['metricAttributes', ['a', 7, []], metricAttributes => metrics({ metricAttributes })],
      ['isError', ['no', 0], isError => metrics({ isError })],
    ];
    for (const [hook, wrong, make] of hooks) {
      const answers = {
        ...promises,
        ...Object.fromEntries(wrong.map(value => [JSON.stringify(value) ?? 'nothing', () => () => value])),
      };
      for (const [what, answer] of Object.entries(answers))
        it(`${make(() => {}).name} go on without ${hook} when it answers with ${what}, and say so once`, async () => {
          const otel = startOtel();
          try {
            const server = await serve('mount', failing, [make(answer(true))]);
            for (let i = 0; i < 3; i++) expect((await server.call()).details).to.equal('no');
            const { 'rpc.server.call.duration': duration } = await otel.collect();
            const measured = duration?.dataPoints[0]?.value.count ?? otel.spans.length;
            expect(measured).to.equal(3);
            expect(otel.complaints).to.have.length(1);
            expect(otel.complaints[0]).to.include(`${hook} failed; calls go on without it`);
            expect(otel.complaints[0]).to.include(`Expected \`${hook}()\` to return `);
          } finally {
            await otel.stop();
          }
        });
    }
  });
});
