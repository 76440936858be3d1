import { credentials, Metadata, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { streamservice } from '../../examples/protos.ts';
import { Updates } from '../../examples/updates.ts';
import { configure, drain, type Middleware, mount } from '../../lib/index.ts';
import { limits } from '../../middleware/limits.ts';
import { all, closeClients, serveStreams, watch } from '../support/examples.ts';
import { start, stopAll, until } from '../support/harness.ts';
import { readOne } from '../support/served.ts';

const { StreamService } = streamservice;
const TOPICS = ['orders', 'inventory', 'alerts'];
/** One message at a time is on its way to the client: what comes meanwhile has to wait. */
const narrow = configure({ maxUnackedMessages: 1 });
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe('examples: SubscribeToUpdates, more than a subscriber takes', () => {
  let updates: Updates;
  const logged: string[] = [];

  afterEach(async () => {
    updates.close();
    closeClients();
    await stopAll();
    logged.length = 0;
  });

  const serve = () => {
    updates = new Updates({ speed: 1, log: line => logged.push(line) });
    return serveStreams({ subscribeToUpdates: updates.handler }, narrow);
  };
  const choosing = (overflow?: string) => {
    const metadata = new Metadata();
    if (overflow !== undefined) metadata.set('overflow', overflow);
    return metadata;
  };

  /** Publishes 1 to 150 at once: of these one is taken, and a hundred may wait. */
  const burst = async (overflow?: string, clientId = 'me') => {
    const client = await serve();
    const watched = watch(client.subscribeToUpdates({ topics: TOPICS, clientId }, choosing(overflow)));
    await until('it is subscribed', () => updates.subscribers === 1);
    for (const n of range(1, 150)) updates.publish(TOPICS[n % 3] ?? '', `${n}`, {});
    updates.close();
    const { messages, code, details, trailer } = await watched.ended;
    const got = messages.map(({ message }) => Number(message));
    return { got, code, details, skipped: trailer.get('x-skipped') };
  };

  for (const overflow of [undefined, 'drop-newest'])
    it(`skips what comes when a hundred wait, with ${overflow ?? 'no choice'}`, async () => {
      expect(await burst(overflow)).to.deep.equal({
        got: range(1, 101),
        code: status.OK,
        details: 'OK',
        skipped: ['49'],
      });
    });

  it('skips what waited longest with drop-oldest', async () => {
    const { got, skipped } = await burst('drop-oldest');
    expect({ got, skipped }).to.deep.equal({ got: [1, ...range(51, 150)], skipped: ['49'] });
  });

  it('keeps the last with latest', async () => {
    const { got, skipped } = await burst('latest');
    expect({ got, skipped }).to.deep.equal({ got: [1, 150], skipped: ['148'] });
  });

  it('keeps the last of each topic with conflate', async () => {
    const { got, skipped } = await burst('conflate');
    expect({ got, skipped }).to.deep.equal({
      got: [1, 148, 149, 150],
      skipped: ['146'],
    });
  });

  it('ends the stream with disconnect', async () => {
    const { got, code, details } = await burst('error');
    expect({ code, details }).to.deep.equal({
      code: status.RESOURCE_EXHAUSTED,
      details: 'the subscriber is too slow',
    });
    expect(got).to.deep.equal(range(1, got.length));
  });

  for (const overflow of ['', 'wait', 'DROP-NEWEST', 'x'.repeat(3000)])
    it(`refuses the policy '${overflow.slice(0, 20)}', and says which there are`, async () => {
      const client = await serve();
      const { code, details } = await all(client.subscribeToUpdates({ topics: TOPICS }, choosing(overflow)));
      expect(code).to.equal(status.INVALID_ARGUMENT);
      expect(details).to.equal(
        `unknown overflow '${overflow}': drop-newest, drop-oldest, latest, conflate, error`,
      );
      expect(updates.subscribers).to.equal(0);
    });

  it('logs how many a subscriber missed', async () => {
    await burst(undefined, 'client-001');
    expect(logged).to.deep.equal(['"client-001" missed 49 updates']);
  });

  it('logs the address of one that has no name', async () => {
    await burst(undefined, '');
    expect(logged).to.have.length(1);
    expect(logged[0]).to.match(/^127\.0\.0\.1:\d+ missed 49 updates$/);
  });

  it('keeps the log a line each, and short, whatever a client calls itself', async () => {
    await burst(undefined, `a\nfake line ${'x'.repeat(100_000)}`);
    expect(logged[0]).to.match(/^"a\\nfake line x{88}" missed 49 updates$/);
  });

  describe('reports it also at an end that comes from outside', () => {
    const begin = async (...middleware: Middleware[]) => {
      updates = new Updates({ speed: 1, log: line => logged.push(line) });
      const source = { subscribeToUpdates: updates.handler };
      return start(server => mount(server, StreamService.service, source, narrow, ...middleware));
    };
    const skip49 = async () => {
      await until('it is subscribed', () => updates.subscribers === 1);
      for (const n of range(1, 150)) updates.publish('orders', `${n}`, {});
    };
    const request = { topics: TOPICS, clientId: 'me' };

    it('when the server is drained', async () => {
      const { server, port } = await begin();
      const client = new StreamService(`127.0.0.1:${port}`, credentials.createInsecure());
      const { ended } = watch(client.subscribeToUpdates(request));
      await skip49();
      const drained = drain(server);
      const { code, trailer } = await ended;
      expect({ code, skipped: trailer.get('x-skipped') }).to.deep.equal({
        code: status.UNAVAILABLE,
        skipped: ['49'],
      });
      client.close();
      await drained;
      expect(logged).to.deep.equal(['"me" missed 49 updates']);
    });

    it('when a limit is reached', async () => {
      const { port } = await begin(limits({ maxStreamAgeMs: 100, jitter: 0 }));
      const client = new StreamService(`127.0.0.1:${port}`, credentials.createInsecure());
      const { ended } = watch(client.subscribeToUpdates(request));
      await skip49();
      const { code, details, trailer } = await ended;
      expect({ code, details, skipped: trailer.get('x-skipped') }).to.deep.equal({
        code: status.UNAVAILABLE,
        details: 'the stream has reached its maximum age',
        skipped: ['49'],
      });
      client.close();
    });
  });

  it('lets a slow subscriber miss updates, and the others none', async () => {
    const client = await serve();
    const big = 'x'.repeat(100_000);
    const fast = watch(client.subscribeToUpdates({ topics: ['orders'] }));
    const slow = watch(client.subscribeToUpdates({ topics: ['orders'], clientId: 'slow' }), { paused: true });
    await until('both are subscribed', () => updates.subscribers === 2);
    updates.publish('orders', `0 ${big}`, {});
    slow.messages.push(await readOne(slow.stream));
    for (const n of range(1, 199)) {
      updates.publish('orders', `${n} ${big}`, {});
      await until('the fast one has it', () => fast.messages.length === n + 1);
    }
    slow.stream.on('data', message => slow.messages.push(message)).resume();
    updates.close();
    const got = (await slow.ended).messages.map(({ message }) => Number.parseInt(message, 10));
    expect(fast.messages.map(({ message }) => Number.parseInt(message, 10))).to.deep.equal(range(0, 199));
    expect(got).to.deep.equal(range(0, got.length - 1));
    expect(got.length).to.be.within(101, 150);
    expect((await slow.ended).trailer.get('x-skipped')).to.deep.equal([`${200 - got.length}`]);
    expect(logged).to.deep.equal([`"slow" missed ${200 - got.length} updates`]);
  });
});
