import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { subscribe } from '../../lib/client/index.ts';
import { all, failure, thrown } from '../sources/tools.ts';
import { stopAll } from '../support/harness.ts';
import { send, serve } from './service.ts';

const quick = { backoff: () => 1 } as const;

const long = { __isLong__: true, low: 5, high: 1, unsigned: false, toString: () => '4294967301' };

describe('the tokens of subscribe()', () => {
  afterEach(stopAll);

  const twice = () => serve((call, index) => send(call, [index], index ? status.OK : status.UNAVAILABLE));

  const carried: [unknown, string][] = [
    ['a', 'a'],
    ['~ two  words, and !', '~ two  words, and !'],
    ['x'.repeat(8192), 'x'.repeat(8192)],
    [0, '0'],
    [-1.5, '-1.5'],
    [1e21, '1e+21'],
    [2n ** 64n, '18446744073709551616'],
    [long, '4294967301'],
  ];
  for (const [token, header] of carried)
    it(`carry ${String(token).slice(0, 30)} (${typeof token}) exactly`, async () => {
      const { open, calls } = await twice();
      await all(subscribe(open, {}, { ...quick, token: () => token }));
      expect(calls.map(call => call.metadata.get('last-event-id'))).to.deep.equal([[], [header]]);
    });

  const refused: Record<string, unknown> = {
    'what is not ASCII': 'größe-5',
    'a lone surrogate': '\ud800',
    'a line end': 'a\nb',
    'a trailing line end': 'a\n',
    'a NUL': 'a\0',
    'a tab': 'a\tb',
    'a blank before': ' a',
    'a blank behind': 'a ',
    'a blank only': ' ',
    'an empty string': '',
    'a string longer than headers': 'x'.repeat(8193),
    bytes: new Uint8Array([1, 2, 200]),
    'a buffer': Buffer.from([1, 2, 200]),
    NaN: Number.NaN,
    Infinity: Infinity,
    null: null,
    true: true,
    'a date': new Date(0),
    'an object': { id: 1 },
    'a symbol': Symbol('token'),
    'a promise': Promise.resolve(1),
    'a promise that rejects': Promise.reject(new Error('mine')),
  };
  (refused['a promise that rejects'] as Promise<unknown>).catch(() => {});
  for (const [what, token] of Object.entries(refused)) {
    it(`refuse ${what} at its item`, async () => {
      const { open, calls } = await twice();
      const { items, error } = await failure(subscribe(open, {}, { ...quick, token: () => token }));
      expect(items).to.deep.equal([]);
      expect(error).to.be.instanceOf(TypeError);
      expect(error.message).to.match(/^Expected `token\(\)` to return what a header carries as it is/);
      expect(calls).to.have.length(1);
    });

    it(`refuse ${what} to begin after`, () => {
      const { message } = thrown(() => subscribe((() => {}) as never, {}, { after: token }));
      expect(message).to.match(/^Expected `after` to be what a header carries as it is/);
    });
  }

  it('are anything when `resume` carries them, but no promise', async () => {
    for (const [what, token] of Object.entries(refused)) {
      const { open, calls } = await twice();
      const resumed: unknown[] = [];
      const stream = subscribe(
        open,
        {},
        {
          ...quick,
          token: () => token,
          resume(request, given) {
            resumed.push(given);
            return request;
          },
        },
      );
      if (what.startsWith('a promise')) {
        expect((await failure(stream)).error.message).to.match(
          /^Expected `token\(\)` .* it is not waited for/,
        );
        continue;
      }
      await all(stream);
      expect(resumed, what).to.deep.equal([token]);
      expect(calls).to.have.length(2);
    }
  });

  it('must be primitives for `dedupe`, which could tell none of them from another', async () => {
    for (const [token, resume] of [
      [long, undefined],
      [new Uint8Array(1), (request: object) => request],
    ] as const) {
      const { open } = await twice();
      const options = { ...quick, token: () => token, dedupe: 5, ...(resume && { resume }) };
      const { error } = await failure(subscribe(open, {}, options as never));
      expect(error).to.be.instanceOf(TypeError);
      expect(error.message).to.include('a primitive, for `dedupe`');
    }
  });
});
