import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { subscribe } from '../../lib/client/index.ts';
import { all, failure, settled, thrown } from '../sources/tools.ts';
import { deferred, stopAll } from '../support/harness.ts';
import { opener, send, serve } from './service.ts';

const quick = { backoff: () => 1 } as const;
const token = ({ number }: { number: number }) => number;

describe('the hooks of subscribe()', () => {
  afterEach(stopAll);

  const twice = () => serve((call, index) => send(call, [index], index ? status.OK : status.UNAVAILABLE));

  it('that are only told something may reject: nothing changes, and nothing is unhandled', async () => {
    const { open } = await twice();
    let told = 0;
    const rejects = async () => {
      told += 1;
      await settled();
      throw new Error('mine');
    };
    const hooks = { onAttempt: rejects, onHeader: rejects, onAttemptEnd: rejects };
    expect(await all(subscribe(open, {}, { ...quick, ...hooks }))).to.have.length(2);
    await settled();
    expect(told).to.equal(6);
  });

  describe('that are asked once an attempt may answer later:', () => {
    it('resume', async () => {
      const { open, calls } = await twice();
      const resume = async (request: object, after: number) => {
        await settled();
        return { ...request, after };
      };
      await all(subscribe(open, { max: 5 }, { ...quick, token, resume }));
      expect(calls.map(({ request }) => request)).to.deep.equal([{ max: 5 }, { max: 5, after: 0 }]);
    });

    it('retry', async () => {
      const answers = [true, false];
      const { open, calls } = await serve(call => send(call, [], status.UNAUTHENTICATED));
      const retry = async () => {
        await settled();
        return answers.shift() as boolean;
      };
      const { error } = await failure(subscribe(open, {}, { ...quick, retry }));
      expect(error).to.include({ code: status.UNAUTHENTICATED, reason: 'code' });
      expect(calls).to.have.length(2);
    });

    it('and what they reject with ends the subscription', async () => {
      const mine = new Error('mine');
      const rejects = () => Promise.reject(mine);
      for (const options of [
        { resume: rejects, after: 1 },
        { retry: rejects },
        { metadata: rejects },
        { onResumeLost: rejects, after: 1, retry: () => true },
      ]) {
        const { open } = await serve(call => send(call, [], status.OUT_OF_RANGE));
        expect((await failure(subscribe(open, {}, { ...quick, ...options }))).error).to.equal(mine);
      }
    });

    it('and one that never does keeps nobody from leaving', async () => {
      const never = new Promise<never>(() => {});
      for (const hook of ['resume', 'retry', 'metadata', 'onResumeLost']) {
        const { open } = await serve(call => send(call, [], status.OUT_OF_RANGE));
        const asked = deferred();
        const options = {
          [hook]: () => {
            asked.resolve();
            return never;
          },
        };
        const stream = subscribe(open, {}, { ...quick, ...(hook !== 'retry' && { after: 1 }), ...options });
        const pending = stream.next();
        await asked.promise;
        await stream.return?.();
        expect(await pending).to.deep.equal({ done: true, value: undefined });
      }
    });
  });

  describe('are named when they answer with what they should not:', () => {
    const later = async () => {
      throw new Error('mine');
    };
    const answers: [string, object, RegExp][] = [
      ['items', { items: later }, /an iterable, got `Promise` \(object\): it is not waited for here$/],
      ['items', { items: async function* () {} }, /an iterable, got `AsyncGenerator` \(object\)$/],
      ['items', { items: () => 'text' }, /an iterable, got `text` \(string\)$/],
      ['items', { items: () => undefined }, /an iterable, got `undefined` \(undefined\)$/],
      ['token', { token: later }, /got `Promise` \(object\): it is not waited for here$/],
      ['bookmark', { token, bookmark: later }, /a boolean, got `Promise` \(object\): it is not waited/],
      ['bookmark', { token, bookmark: () => 'yes' }, /a boolean, got `yes` \(string\)$/],
      ['retry', { retry: () => 1 }, /a boolean, got `1` \(number\)$/],
      ['retry', { retry: async () => 'yes' }, /a boolean, got `yes` \(string\)$/],
      [
        'resume',
        { resume: () => undefined, after: 1 },
        /a request \(object\), got `undefined` \(undefined\)$/,
      ],
      ['resume', { resume: async () => 'text', after: 1 }, /a request \(object\), got `text` \(string\)$/],
      [
        'onResumeLost',
        { onResumeLost: () => null, after: 1 },
        /a request \(object\), got `null` \(object\)$/,
      ],
      ['backoff', { backoff: later }, /a number, got `Promise` \(object\): it is not waited for here$/],
      ['backoff', { backoff: () => '5' }, /a number, got `5` \(string\)$/],
      [
        'random',
        { backoff: { random: later } },
        /a number, got `Promise` \(object\): it is not waited for here$/,
      ],
    ];
    for (const [hook, options, sentence] of answers)
      it(`${hook} (${sentence.source.match(/`(.*)`/)?.[1]})`, async () => {
        const { open } = await serve(call => {
          if (hook === 'onResumeLost') send(call, [], status.OUT_OF_RANGE);
          else send(call, [1], status.UNAVAILABLE);
        });
        const { error } = await failure(subscribe(open, {}, { ...quick, ...options }));
        await settled();
        expect(error).to.be.instanceOf(TypeError);
        expect(error.message)
          .to.match(new RegExp(`^Expected \`${hook}\\(\\)\` to return `))
          .and.match(sentence);
      });
  });

  it('and the other options have known names only, also those of `backoff`', () => {
    const given = (options: object) =>
      thrown(() => subscribe(opener(undefined as never), {}, options as never)).message;
    expect(given({ maxAttempt: 3 })).to.match(/did you mean `maxAttempts`\?$/);
    expect(given({ backoff: { baseMS: 3 } })).to.equal(
      'Expected `backoff` to have known names only, got `baseMS`: did you mean `baseMs`?',
    );
    expect(given({ backoff: [] })).to.equal('Expected `backoff` to be an object, got `Array` (object)');
    expect(given({ deadline: null })).to.match(
      /^Expected `deadline` to be a date, .*, got `null` \(object\)$/,
    );
    expect(given({ deadline: '2030-01-01' })).to.match(/^Expected `deadline` to be a date/);
  });
});
