import { writeFileSync } from 'node:fs';
import { status } from '@grpc/grpc-js';
import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { expect } from 'chai';
import { type JetStreamEvent, jetstreamTopic } from '../../lib/nats/index.ts';
import { FaultProxy } from '../client/fault-proxy.ts';
import { failure, taken, thrown } from '../sources/tools.ts';
import { until } from '../support/harness.ts';
import {
  configFile,
  infoOf,
  leaveAll,
  type NatsServer,
  nats,
  open,
  publishAll,
  span,
  startNats,
  stopNats,
} from '../support/nats.ts';

describe(`jetstreamTopic() and faults of ${nats}`, function () {
  this.timeout(30_000);
  let server: NatsServer;
  let proxy: FaultProxy;

  beforeEach(async function () {
    server = await startNats(this);
    proxy = await new FaultProxy(server.port).up();
  });
  afterEach(async () => {
    await leaveAll();
    await proxy?.down();
    await stopNats();
  });

  const behindProxy = () => ({ servers: `127.0.0.1:${proxy.port}`, pingInterval: 60_000 });

  const usersOf = (pass: string, more = '') =>
    `authorization: { users: [{ user: reader, password: ${pass}${more} }] }`;
  const guarded = async () => {
    const file = configFile(usersOf('old'));
    return { other: await startNats({} as never, '-js', '-c', file), file, user: 'reader' };
  };

  it('N2 loses and repeats nothing when NATS is killed and started again', async () => {
    const here = await open(server);
    const live = here.subscribe();
    for (let round = 0; round < 3; round++) {
      const sending = publishAll(here, round * 500 + 1, round * 500 + 500);
      await server.down();
      await server.up();
      await sending;
      expect(await taken(live, 500)).to.deep.equal(span(round * 500 + 1, round * 500 + 500));
    }
    expect((await infoOf(here)).state.messages).to.equal(1500);
    expect((await infoOf(here)).state.consumer_count).to.equal(1);
  });

  it('N2 says within its time that a full disk takes nothing, keeps what was taken, and goes on with room', async () => {
    await server.down();
    server.fileBlocks = 2048;
    await server.up();
    const here = await open<string>(server);
    const live = here.subscribe();
    const texts: string[] = [];
    let error: unknown;
    const fill = async (n: number) => {
      const text = `${n}:${'x'.repeat(100_000)}`;
      const from = performance.now();
      await here.publish(text, { timeoutMs: 500 }).then(
        () => texts.push(text),
        failed => {
          error = failed;
          // Some versions of NATS say at once that they cannot store it, others say nothing.
          if (failed.code === status.RESOURCE_EXHAUSTED) expect(failed.details).to.match(/cannot store it/);
          else expect(performance.now() - from).to.be.at.least(400);
        },
      );
    };
    for (let n = 0; n < 100 && !error; n++) await fill(n);
    expect(error).to.have.property('code').that.is.oneOf([status.UNAVAILABLE, status.RESOURCE_EXHAUSTED]);
    expect(texts).to.have.length.above(5);
    expect(await taken(live, texts.length)).to.deep.equal(texts);
    await server.down();
    server.fileBlocks = 'unlimited';
    await server.up();
    await until('NATS is there', () => here.state === 'live');
    await here.publish('room', { timeoutMs: 10_000 });
    expect(await taken(live, 1)).to.deep.equal(['room']);
    expect((await infoOf(here)).state.messages).to.equal(texts.length + 1);
  });

  it('N2 loses and repeats nothing when its connection is cut, again and again, while it catches up too', async () => {
    const writer = await open(server);
    const reader = await open(server, { history: 1 }, behindProxy());
    const [first = 0] = await publishAll(writer, 1, 3000);
    const live = reader.subscribe({ after: first - 1 });
    const got: number[] = [];
    const reading = (async () => {
      while (got.length < 6000) got.push(...((await taken(live, 1)) as number[]));
    })();
    for (let from = 3001; from < 6000; from += 300) {
      await publishAll(writer, from, from + 299);
      proxy.reset();
    }
    await reading;
    expect(got).to.deep.equal(span(1, 6000));
    await until('it is there again', () => reader.state === 'live');
  });

  it('N2 opens a topic though its connection is cut while it does, and NATS was restarted', async () => {
    const writer = await open(server);
    const sequences = await publishAll(writer, 1, 10);
    const nc = await server.connect(behindProxy());
    for (const disturb of [
      () => proxy.reset(),
      async () => {
        await server.down();
        await server.up();
      },
    ]) {
      const opening = jetstreamTopic<number>(nc, { stream: 'updates', subject: 'updates' });
      await disturb();
      const topic = await opening;
      expect(topic.last).to.equal(sequences.at(-1));
      await topic.close();
    }
    await nc.close();
  });

  const going: [string, status, (nc: NatsConnection) => unknown][] = [
    ['is closed', status.UNAVAILABLE, nc => nc.close()],
    ['is drained', status.UNAVAILABLE, nc => nc.drain()],
    ['is silent', status.UNAVAILABLE, () => Object.assign(proxy.faults, { blackHole: true })],
    ['has no NATS behind it', status.UNAVAILABLE, () => server.down()],
    [
      'has no such stream any more',
      status.FAILED_PRECONDITION,
      async nc => (await jetstreamManager(nc)).streams.delete('updates'),
    ],
  ];
  for (const [what, code, go] of going)
    for (const awayMs of [100, Infinity])
      it(`says within 5 s that its connection ${what}, of which it reads history, with ${awayMs} ms to be away`, async () => {
        const writer = await open(server);
        await publishAll(writer, 1, 12_000);
        const nc = await server.connect(what === 'is silent' ? behindProxy() : {});
        const gone: unknown[] = [];
        const at = performance.now();
        const error = await jetstreamTopic<number>(nc, {
          ...{ stream: 'updates', subject: 'updates', history: 12_000, awayMs, onEvent: () => {} },
          decode: () => gone.push(gone.length === 0 && go(nc)),
        }).catch(error => error);
        expect(error).to.include({ code });
        expect(error.details).to.match(/^cannot read stream `updates`: ./);
        expect(performance.now() - at).to.be.below(5000);
        proxy.faults.blackHole = false;
        await gone[0];
        await nc.close();
      });

  it('is never opened when its connection is closed before it has read all', async () => {
    const writer = await open(server);
    const last = (await publishAll(writer, 1, 12_000)).at(-1);
    let refused = 0;
    for (let turns = 0; turns < 21; turns += 3) {
      const nc = await server.connect();
      const settings = { stream: 'updates', subject: 'updates', history: 12_000, onEvent: () => {} };
      const opening = jetstreamTopic<number>(nc, settings).catch(error => error);
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
      await nc.close();
      const opened = await opening;
      // How far it comes in so many turns, and while the connection closes, is for the machine to say.
      if (opened.code === undefined) expect(opened.last, `${turns}`).to.equal(last);
      else expect(opened.code, `${turns}`).to.equal(status.UNAVAILABLE);
      if (opened.code !== undefined) refused += 1;
    }
    expect(refused).to.be.above(0);
  });

  it('N2 goes on at once when its consumer is deleted by hand', async () => {
    const here = await open(server);
    const live = here.subscribe();
    const jsm = await jetstreamManager(here.nc);
    for await (const { name } of jsm.consumers.list('updates')) await jsm.consumers.delete('updates', name);
    await publishAll(here, 1, 10);
    expect(await taken(live, 10)).to.deep.equal(span(1, 10));
  });

  it('N2 notices within seconds that a connection is open on this side only', async () => {
    const writer = await open(server);
    const reader = await open(server, {}, behindProxy());
    const live = reader.subscribe();
    proxy.faults.blackHole = true;
    const at = performance.now();
    await publishAll(writer, 1, 10);
    await until('it connects anew', () => proxy.connections > 1, 15_000);
    proxy.faults.blackHole = false;
    expect(await taken(live, 10)).to.deep.equal(span(1, 10));
    expect(performance.now() - at).to.be.below(20_000);
  });

  it('N4 tells who is there when the stream went back to an older store', async () => {
    const here = await open(server, { create: { first_seq: 1 } });
    await publishAll(here, 1, 10);
    await server.down();
    server.save();
    await server.up();
    await publishAll(here, 11, 20);
    await until('all is read', () => here.last === 20);
    const live = failure(here.subscribe());
    await server.down();
    server.rollBack();
    await server.up();
    expect((await live).error).to.include({ code: status.OUT_OF_RANGE });
    const fresh = here.subscribe();
    await here.publish(7);
    expect(await taken(fresh, 1)).to.deep.equal([7]);
    expect(here.last).to.equal(11);
  });

  it('N4 tells who is there when the other stream has reached as far as they have', async () => {
    const here = await open(server, { create: { first_seq: 1 } }, behindProxy());
    const other = await open(server);
    await publishAll(here, 1, 10);
    await until('all is read', () => here.last === 10 && other.last === 10);
    await server.down();
    server.save();
    await server.up();
    await publishAll(other, 11, 20);
    await until('all is read', () => here.last === 20);
    const live = failure(here.subscribe());
    await proxy.down();
    await server.down();
    server.rollBack();
    await server.up();
    await publishAll(other, 101, 130);
    await proxy.up();
    expect((await live).error).to.include({ code: status.OUT_OF_RANGE });
  });

  it('N3 tells who is there when the stream was trimmed while NATS was away for this process only', async () => {
    const here = await open(server, { create: { max_msgs: 100 } }, behindProxy());
    const other = await open(server);
    const live = failure(here.subscribe());
    const first = await other.publish(1);
    await until('it is read', () => here.last === first);
    await proxy.down();
    const sequences = await publishAll(other, 2, 500);
    await proxy.up();
    const { items, error } = await live;
    expect(items).to.deep.equal([1]);
    expect(error).to.include({ code: status.OUT_OF_RANGE });
    await until('it is there again', () => here.last === sequences.at(-1));
  });

  it('ends subscribers with a hint when NATS is away for too long, and serves them when it is back', async () => {
    const here = await open(server, { awayMs: 100 });
    const [first = 0] = await publishAll(here, 1, 100);
    await until('it is read', () => here.last === first + 99);
    const live = failure(here.subscribe());
    await server.down();
    await until('it is noticed', () => here.state === 'away');
    expect(await taken(here.subscribe({ after: first + 49 }), 50)).to.deep.equal(span(51, 100));
    const { error } = await live;
    expect(error).to.include({ code: status.UNAVAILABLE, details: 'the stream is away' });
    expect(Number(error.metadata.get('grpc-retry-pushback-ms')[0])).to.be.within(500, 3000);
    expect(() => here.subscribe()).to.throw(/the stream is away/);
    await server.up();
    await until('it is live', () => here.state === 'live');
    const back = here.subscribe({ after: first + 49 });
    await here.publish(101);
    expect(await taken(back, 51)).to.deep.equal(span(51, 101));
    expect(here.events.map(({ type }) => type)).to.deep.equal(['live', 'away', 'live']);
  });

  it('tells each of them another time to come back', async () => {
    const here = await open(server, { awayMs: 100, history: 1 });
    const [first = 0] = await publishAll(here, 1, 1000);
    await until('it is read', () => here.last === first + 999);
    const back = here.subscribe({ after: first - 1 });
    expect(await taken(back, 1)).to.deep.equal([1]);
    const told = [back, ...span(1, 20).map(() => here.subscribe())].map(failure);
    await server.down();
    const errors = (await Promise.all(told)).map(({ error }) => error);
    for (let n = 0; n < 20; n++) errors.push(thrown(() => here.subscribe()));
    const hints = errors.map(error => {
      expect(error).to.include({ code: status.UNAVAILABLE, details: 'the stream is away' });
      return Number(error.metadata.get('grpc-retry-pushback-ms')[0]);
    });
    for (const hint of hints) expect(hint).to.be.within(500, 3000);
    expect(new Set(hints).size).to.be.above(20);
    expect(new Set(errors).size).to.equal(41);
  });

  it('ends subscribers when the connection is closed for good', async () => {
    const here = await open(server);
    const live = failure(here.subscribe());
    await here.nc.close();
    expect((await live).error).to.include({ code: status.UNAVAILABLE });
    expect(here.state).to.equal('closed');
    const error = await here.publish(1).catch(error => error);
    expect(error).to.include({ code: status.UNAVAILABLE });
  });

  it('N8 leaves no consumer that was made later than it waited for', async () => {
    const nc = await server.connect();
    const { consumers } = await jetstreamManager(nc);
    const onEvent = ({ type }: JetStreamEvent) => {
      if (type === 'away') proxy.faults.latencyMs = 0;
    };
    const here = await open(server, { onEvent }, behindProxy());
    const [first] = await consumers.list('updates').next();
    proxy.faults.latencyMs = 800;
    await consumers.delete('updates', first?.name ?? '');
    await until('it waited too long', () => proxy.faults.latencyMs === 0, 10_000);
    await until('it is live', () => here.state === 'live', 10_000);
    for (let looks = 0; looks < 200 && (await infoOf({ nc })).state.consumer_count > 1; looks++)
      await new Promise(resolve => setTimeout(resolve, 10));
    expect((await infoOf({ nc })).state.consumer_count).to.equal(1);
    await nc.close();
  });

  it('N2 goes on with other credentials when NATS takes those no more that it had', async () => {
    const { other, file, user } = await guarded();
    let pass = 'old';
    const here = await open(other, {}, { authenticator: () => ({ user, pass }) });
    const live = here.subscribe();
    const number = await here.publish(1);
    pass = 'new';
    writeFileSync(file, usersOf('new'));
    other.reload();
    await until('it is away', () => here.events.some(({ type }) => type === 'away'));
    const [{ error }] = here.events.filter(({ type }) => type === 'away') as [JetStreamEvent];
    expect((error as Error).message).to.match(/auth/i);
    await until('it is live', () => here.state === 'live');
    await here.publish(2);
    expect(await taken(live, 2)).to.deep.equal([1, 2]);
    expect(await taken(here.subscribe({ after: number }), 1)).to.deep.equal([2]);
  });

  it('ends subscribers, and says why, when NATS takes no credentials that it has', async () => {
    const { other, file, user } = await guarded();
    const here = await open(other, {}, { authenticator: () => ({ user, pass: 'old' }) });
    const live = failure(here.subscribe());
    writeFileSync(file, usersOf('new'));
    other.reload();
    const { error } = await live;
    expect(error).to.include({ code: status.UNAVAILABLE });
    expect(error.cause.message).to.match(/auth/i);
    expect(here.state).to.equal('closed');
  });

  it('says why NATS is away as it was heard last, when it is away for too long', async () => {
    const { other, file, user } = await guarded();
    const here = await open(other, { awayMs: 1000 }, { user, pass: 'old' });
    const live = failure(here.subscribe());
    writeFileSync(file, usersOf('old', ', permissions: { publish: { deny: "$JS.API.CONSUMER.CREATE.>" } }'));
    await other.down();
    await other.up();
    const { error } = await live;
    expect(error).to.include({ code: status.UNAVAILABLE });
    expect(error.cause.message).to.include('$JS.API.CONSUMER.CREATE.updates');
    expect(here.state).to.equal('away');
  });

  it('N7 stores an item once though its acknowledgement is lost', async () => {
    const here = await open(server, {}, behindProxy());
    const sending: Promise<number>[] = [];
    for (let number = 1; number <= 200; number++) {
      sending.push(here.publish(number));
      if (number % 40 === 0) proxy.reset();
      await new Promise(setImmediate);
    }
    await Promise.all(sending);
    expect(new Set(await Promise.all(sending)).size).to.equal(200);
    expect((await infoOf(here)).state.messages).to.equal(200);
  });

  it('N7 stores an item once though its acknowledgement comes later than NATS knows its id', async () => {
    const here = await open(server, { create: { duplicate_window: 100e6 } }, behindProxy());
    proxy.faults.latencyMs = 1200;
    expect(await here.publish(1)).to.be.above(0);
    proxy.faults.latencyMs = 0;
    expect((await infoOf(here)).state.messages).to.equal(1);
  });

  it('N7 stores an item once that was on its way when the topic was closed', async () => {
    const here = await open(server, {}, behindProxy());
    const other = await open(server);
    const sending = publishAll(here, 1, 100);
    proxy.reset();
    await here.close();
    expect(new Set(await sending).size).to.equal(100);
    expect((await infoOf(other)).state.messages).to.equal(100);
    await here.nc.close();
  });

  it('N7 says within its time that NATS does not answer', async () => {
    const here = await open(server);
    await server.down();
    const at = performance.now();
    const error = await here.publish(1, { timeoutMs: 300 }).catch(error => error);
    expect(error).to.include({ code: status.UNAVAILABLE });
    expect(error.details).to.match(/^cannot publish to `updates` of stream `updates`: /);
    expect(performance.now() - at).to.be.within(200, 2000);
  });
});
