import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { drain, type Middleware } from '../../lib/index.ts';
import { limits } from '../../middleware/limits.ts';
import { type Calling, deferred, mountNames, serve, stopAll } from '../support/harness.ts';
import { deaf } from '../support/ways.ts';

const opened = ({ stream }: Calling) => new Promise(resolve => stream.once('data', resolve));

describe('limits() and drain()', () => {
  afterEach(stopAll);

  for (const on of mountNames)
    it(`L8 waits no longer than for the age of a stream that is parked, on ${on}`, async () => {
      const ends: string[] = [];
      const spy: Middleware = () => ({ end: ({ reason }) => void ends.push(reason) });
      const server = await serve(on, deaf, [spy, limits({ maxStreamAgeMs: 40, jitter: 0 })]);
      const calling = server.open();
      await opened(calling);
      const since = performance.now();
      await drain(server.server, { graceMs: 60_000 });
      expect(performance.now() - since).to.be.below(5000);
      const { code, details } = await calling.reply;
      expect({ code, details, ends }).to.deep.equal({
        code: status.UNAVAILABLE,
        details: 'the stream has reached its maximum age',
        ends: ['limit'],
      });
    });

  it('L8 finds the ages of streams that were opened together spread by the jitter', async () => {
    const ages: number[] = [];
    const spy: Middleware = () => {
      const since = performance.now();
      return { end: () => void ages.push(performance.now() - since) };
    };
    const server = await serve('mount', deaf, [spy, limits({ maxStreamAgeMs: 200, jitter: 0.5 })]);
    await Promise.all(Array.from({ length: 40 }, () => server.call()));
    expect(Math.min(...ages)).to.be.within(100, 1000);
    expect(Math.max(...ages) - Math.min(...ages)).to.be.above(20);
  });

  it('L9 cuts no bound short that is as long as a timer can hold, or longer by the jitter', async () => {
    const longest = 0x7fffffff;
    const finish = deferred();
    const warnings: string[] = [];
    const warned = ({ name }: Error) => void warnings.push(name);
    process.on('warning', warned);
    const { random } = Math;
    const server = await serve(
      'mount',
      async function* () {
        yield 'first';
        await finish.promise;
      },
      [limits({ maxStreamAgeMs: longest, jitter: 1 })],
    );
    Math.random = () => 0.999;
    const calling = server.open();
    await opened(calling).finally(() => {
      Math.random = random;
    });
    const drained = drain(server.server, { graceMs: longest });
    await new Promise(resolve => setTimeout(resolve, 10));
    process.off('warning', warned);
    finish.resolve();
    expect((await calling.reply).code).to.equal(status.OK);
    await drained;
    expect(warnings).to.deep.equal([]);
  });
});
