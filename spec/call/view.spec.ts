import { expect } from 'chai';
import { type Call, callOf, configure, wrap } from '../../lib/index.ts';
import { insideOf } from '../../lib/inside.ts';
import { definition, mountNames, serve, start, stopAll } from '../support/harness.ts';

/** What types.ts says of a call, and where it keeps what is no user's. */
const NAMES = [
  ...['authContext', 'connectionInfo', 'deadline', 'end', 'header', 'host', 'kind', 'metadata', 'path'],
  ...['peer', 'request', 'sendHeader', 'signal', 'stats', 'trailer', 'values'],
];

/** All names by which anybody gets at something of an object. */
function namesOf(value: object): string[] {
  const names = new Set<string>();
  for (let part = value; part !== Object.prototype; part = Object.getPrototypeOf(part))
    for (const name of Object.getOwnPropertyNames(part)) if (name !== 'constructor') names.add(name);
  return [...names].sort();
}

describe('a call, as users see it', () => {
  afterEach(stopAll);

  for (const on of mountNames)
    it(`has what is documented, for all who hold it, and nothing else, on ${on}`, async () => {
      const seen: Record<string, Call> = {};
      const { call } = await serve(
        on,
        (_request, given) => {
          seen.method = given;
          throw new Error('for the hook');
        },
        [
          configure({
            onError(_error, given) {
              seen.hook = given;
            },
          }),
          given => {
            seen.factory = given;
          },
        ],
      );
      await call();
      expect(Object.keys(seen).sort()).to.deep.equal(['factory', 'hook', 'method']);
      for (const given of Object.values(seen)) {
        expect(given).to.equal(seen.factory);
        expect(namesOf(given)).to.deep.equal(NAMES);
      }
    });

  it('is what callOf() answers, too', async () => {
    let seen: Call | undefined;
    const handler = wrap((stream: Parameters<typeof callOf>[0] & { end(): void }) => {
      seen = callOf(stream);
      stream.end();
    });
    const { call } = await start(server => server.addService(definition, { stream: handler as never }));
    await call();
    expect(namesOf(seen as Call)).to.deep.equal(NAMES);
    expect(insideOf(seen as Call)?.over).to.equal(true);
  });

  it('works through a wrapper that a middleware makes of it', async () => {
    let peer: string | undefined;
    const { call } = await serve(
      'mount',
      async function* () {
        yield {};
      },
      [
        given => {
          const wrapped: Call = Object.create(given);
          const proxied = new Proxy(given, {});
          peer = wrapped.peer;
          expect(proxied.signal).to.equal(given.signal);
          expect(wrapped.stats).to.equal(proxied.stats);
        },
      ],
    );
    expect((await call()).code).to.equal(0);
    expect(peer).to.match(/^127\.0\.0\.1:\d+$/);
  });
});
