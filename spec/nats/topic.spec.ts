import { status } from '@grpc/grpc-js';
import { jetstreamManager } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { expect } from 'chai';
import { FaultProxy } from '../client/fault-proxy.ts';
import { all, failure, taken, thrown } from '../sources/tools.ts';
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

describe(`jetstreamTopic() on ${nats}`, function () {
  this.timeout(20_000);
  let server: NatsServer;

  before(async function () {
    server = await startNats(this);
  });
  afterEach(async () => {
    await leaveAll();
    await server.clear();
  });
  after(stopNats);

  it('N1 misses nothing that is published after subscribe() returned, whoever publishes it', async () => {
    const [here, there] = [await open(server), await open(server)];
    for (let round = 0; round < 20; round++) {
      const subscriptions = [here.subscribe(), there.subscribe(), here.subscribe({ after: here.last })];
      await publishAll(round % 2 ? here : there, round * 10 + 1, round * 10 + 10);
      for (const subscription of subscriptions) {
        const numbers = (await taken(subscription, 10)) as number[];
        expect(numbers).to.deep.equal(span(round * 10 + 1, round * 10 + 10));
        await subscription.return?.();
      }
    }
  });

  it('N2 resumes on another process from memory, from the stream, and from in between', async () => {
    const here = await open(server, { history: 10 });
    const [first = 0] = await publishAll(here, 1, 3000);
    const there = await open(server, { history: 10 });
    for (const missed of [3000, 2999, 1500, 257, 256, 255, 1]) {
      const subscription = there.subscribe({ after: first + 2999 - missed });
      expect(await taken(subscription, missed), `${missed}`).to.deep.equal(span(3001 - missed, 3000));
      const next = subscription.next();
      await subscription.return?.();
      expect(await next).to.deep.equal({ done: true, value: undefined });
    }
    const live = there.subscribe({ after: first + 2999 });
    await here.publish(3001);
    expect(await taken(live, 1)).to.deep.equal([3001]);
  });

  it('N2 keeps the order of a stream that is written while it is read', async () => {
    const here = await open(server, { history: 0, maxCatchUps: 2 });
    const [first = 0] = await publishAll(here, 1, 2000);
    const writing = publishAll(here, 2001, 6000);
    const readers = span(0, 9).map(async index => {
      const after = first - 1 + index * 150;
      const got = await taken(here.subscribe({ after }), 6000 - index * 150);
      expect(got).to.deep.equal(span(index * 150 + 1, 6000));
    });
    await Promise.all([writing, ...readers]);
  });

  it('N2 waits for what a client has from a process that is ahead', async () => {
    const proxy = await new FaultProxy(server.port).up();
    const here = await open(server);
    const there = await open(server, {}, { servers: `127.0.0.1:${proxy.port}` });
    proxy.faults.latencyMs = 100;
    const [, , third = 0] = await publishAll(here, 1, 3);
    const ahead = there.subscribe({ after: third });
    expect(there.last).to.be.below(third);
    await here.publish(4);
    expect(await taken(ahead, 1)).to.deep.equal([4]);
    await there.leave();
    await proxy.down();
  });

  it('N3 answers OUT_OF_RANGE once when the stream does not reach back, or never was there', async () => {
    const here = await open(server, { create: { max_msgs: 500 } });
    const sequences = await publishAll(here, 1, 1000);
    const there = await open(server);
    const last = sequences.at(-1) ?? 0;
    for (const after of [1, sequences[0] ?? 0, sequences[498] ?? 0, last + 1, Date.now() * 2000]) {
      const subscription = there.subscribe({ after });
      const { items, error } = await failure(subscription);
      expect(items).to.deep.equal([]);
      expect(error).to.include({ code: status.OUT_OF_RANGE });
      expect(await subscription.next()).to.deep.equal({ done: true, value: undefined });
    }
    expect(await taken(there.subscribe({ after: sequences[499] as number }), 500)).to.deep.equal(
      span(501, 1000),
    );
    expect(there.subscribers).to.equal(1);
  });

  it('N3 tells one that is catching up when the stream is trimmed before it is read', async () => {
    const here = await open(server, { history: 1 });
    const [first = 0] = await publishAll(here, 1, 3000);
    const slow = here.subscribe({ after: first - 1 });
    expect(await taken(slow, 10)).to.deep.equal(span(1, 10));
    await (await jetstreamManager(here.nc)).streams.purge('updates', { keep: 10 });
    const { items, error } = await failure(slow);
    expect(items).to.deep.equal(span(11, 10 + items.length));
    expect(error).to.include({ code: status.OUT_OF_RANGE });
  });

  it('N4 resumes by token in the stream where the message is, and in no other', async () => {
    const tokens = new Map<number, string>();
    const decode = (bytes: Uint8Array, { token }: { token: string }) => {
      const number = Number(Buffer.from(bytes).toString());
      tokens.set(number, token);
      return number;
    };
    const create = { first_seq: 1 };
    const here = await open(server, { create, decode, history: 1 });
    await publishAll(here, 1, 1000);
    await until('it is read', () => here.last === 1000);
    for (const from of [1, 500, 743, 744, 999, 1000]) {
      const subscription = here.subscribe({ after: tokens.get(from) as string });
      const missed = await taken(subscription, 1000 - from);
      expect(missed).to.deep.equal(from === 1000 ? [] : span(from + 1, 1000));
      await subscription.return?.();
    }
    const jsm = await jetstreamManager(here.nc);
    await jsm.streams.delete('updates');
    await jsm.streams.add({ name: 'updates', subjects: ['updates'], first_seq: 1 });
    await until('it is told', () => here.events.some(({ type }) => type === 'lost'));
    await publishAll(here, 1, 1000);
    await until('it is read', () => here.last === 1000);
    for (const from of [1, 500, 999, 1000]) {
      const token = `${from}-${Date.now() - 3_600_000}`;
      const answer = await failure(
        (async function* () {
          yield* here.subscribe({ after: token });
        })(),
      );
      expect(answer.items).to.deep.equal([]);
      expect(answer.error).to.include({ code: status.OUT_OF_RANGE });
    }
  });

  it('N4 tells who is there, soon, when the stream is deleted and made anew', async () => {
    const here = await open(server);
    const jsm = await jetstreamManager(here.nc);
    for (let round = 1; round <= 5; round++) {
      const config = (await infoOf(here)).config;
      const live = failure(here.subscribe());
      const sequence = await here.publish(1);
      await until('it is read', () => here.last >= sequence);
      await jsm.streams.delete('updates');
      await jsm.streams.add({ ...config, first_seq: round * 10_000 });
      const at = performance.now();
      const { items, error } = await live;
      expect(items).to.deep.equal([1]);
      expect(error).to.include({ code: status.OUT_OF_RANGE });
      expect(performance.now() - at).to.be.below(5000);
      const fresh = here.subscribe();
      await here.publish(round);
      expect(await taken(fresh, 1)).to.deep.equal([round]);
      await fresh.return?.();
    }
  });

  it('N5 does to a slow subscriber what its policy says, to the item', async () => {
    const here = await open(server, { capacity: 3, key: number => number % 2 });
    const policies = ['drop-newest', 'drop-oldest', 'latest', 'conflate', 'error'] as const;
    const slow = policies.map(overflow => here.subscribe({ overflow }));
    await publishAll(here, 1, 6);
    await until('it is read', () => here.behind === 0 && slow[1]?.dropped === 3);
    expect(slow.map(({ dropped }) => dropped)).to.deep.equal([3, 3, 5, 4, 0]);
    expect((await failure(slow[4] as AsyncIterable<number>)).error).to.include({
      code: status.RESOURCE_EXHAUSTED,
    });
    await here.close();
    const left = await Promise.all(slow.slice(0, 4).map(all));
    expect(left).to.deep.equal([[1, 2, 3], [4, 5, 6], [6], [5, 6]]);
  });

  it('N5 filters, counting only what is wanted, in what was stored too', async () => {
    const here = await open(server, { history: 1 });
    const [first = 0] = await publishAll(here, 1, 1000);
    const filter = (number: number) => number % 100 === 0;
    const subscription = here.subscribe({ after: first - 1, filter, capacity: 3 });
    expect(await taken(subscription, 10)).to.deep.equal(span(1, 10).map(number => number * 100));
    await publishAll(here, 1001, 1100);
    expect(await taken(subscription, 1)).to.deep.equal([1100]);
    const broken = here.subscribe({
      after: first - 1,
      filter: () => {
        throw new RangeError('mine');
      },
    });
    expect((await failure(broken)).error).to.be.instanceOf(RangeError);
  });

  it('N5 ends a subscription at a filter that answers no boolean, in what was stored as in what is in memory', async () => {
    const here = await open(server, { history: 1 });
    const [first = 0] = await publishAll(here, 1, 1000);
    await until('it is read', () => here.last === first + 999);
    const filters = [
      async () => false,
      () => Promise.reject(new RangeError('mine')),
      () => {},
      ...[0, 1, null, 'yes'].map(answer => () => answer),
    ];
    for (const filter of filters)
      for (const after of [first - 1, first + 998]) {
        const { items, error } = await failure(here.subscribe({ after, filter: filter as never }));
        expect(items, `${filter}`).to.deep.equal([]);
        expect(error).to.be.instanceOf(TypeError);
        expect(error.message).to.match(/^Expected `filter\(\)` to return a boolean, got /);
      }
    expect(here.subscribers).to.equal(0);
  });

  it('N6 has one consumer, however many are subscribed, and some more while they catch up', async () => {
    const here = await open(server, { history: 1, maxCatchUps: 3 });
    const [first = 0] = await publishAll(here, 1, 2000);
    const live = span(1, 100).map(() => here.subscribe());
    let most = 0;
    let over = false;
    const watching = (async () => {
      while (!over) most = Math.max(most, (await infoOf(here)).state.consumer_count);
    })();
    await Promise.all(
      span(1, 40).map(async () => {
        const back = here.subscribe({ after: first - 1 });
        expect(await taken(back, 2000)).to.have.length(2000);
        await back.return?.();
      }),
    );
    over = true;
    await watching;
    expect(most).to.be.within(1, 4);
    expect(here.catchingUp).to.equal(0);
    expect(here.subscribers).to.equal(100);
    expect(live).to.have.length(100);
    await here.publish(0);
    expect((await infoOf(here)).state.consumer_count).to.equal(1);
  });

  it('N6 reads more than NATS lets wait on a connection, and keeps its connection', async () => {
    const writer = await open<string>(server);
    const text = 'x'.repeat(1_000_000);
    for (let n = 0; n < 150; n += 10)
      await Promise.all(Array.from({ length: 10 }, () => writer.publish(text)));
    const reader = await open<string>(server);
    expect(reader.last).to.equal(writer.last);
    expect(reader.events.map(({ type }) => type)).to.deep.equal(['live']);
  });

  it('N6 serves those who were away for a moment without asking NATS', async () => {
    const here = await open(server);
    const sequences = await publishAll(here, 1, 600);
    await until('it is read', () => here.last === sequences.at(-1));
    const { stats } = { stats: () => here.nc.stats().outMsgs };
    const before = stats();
    for (let round = 0; round < 300; round++) {
      const subscription = here.subscribe({ after: here.last - 500 });
      expect(await taken(subscription, 500)).to.have.length(500);
      void subscription.return?.();
    }
    expect(stats() - before).to.be.below(5);
  });

  it('N6 reads what lies apart once for those who come to it one after another', async () => {
    const here = await open(server, { history: 1 });
    const [first = 0] = await publishAll(here, 1, 24_000);
    await until('it is read', () => here.behind === 0 && here.last === first + 23_999);
    const places = span(0, 11).map(n => first - 1 + n * 2000);
    const behind = places.map(after => here.subscribe({ after }));
    for (const subscription of behind) expect(await taken(subscription, 100)).to.have.length(100);
    const before = here.nc.stats().outMsgs;
    for (const after of places) {
      const another = here.subscribe({ after });
      expect(await taken(another, 100)).to.have.length(100);
      await another.return?.();
    }
    // Now and then it is asked how far the stream reaches; each page would be three requests.
    expect(here.nc.stats().outMsgs - before).to.be.below(12);
    for (const subscription of behind) await subscription.return?.();
  });

  it('N7 stores what has the same id once', async () => {
    const [here, there] = [await open(server), await open(server)];
    const [one, other, third] = await Promise.all([
      here.publish(1, { id: 'a' }),
      there.publish(1, { id: 'a' }),
      here.publish(2, { id: 'b' }),
    ]);
    expect(one).to.equal(other);
    expect(third).to.not.equal(one);
    expect((await infoOf(here)).state.messages).to.equal(2);
  });

  it('N8 leaves no consumer, timer and subscription after close(), and the connection as it is', async () => {
    const here = await open(server, { history: 1 });
    const other = await open(server);
    const [first = 0] = await publishAll(here, 1, 1000);
    const controller = new AbortController();
    const live = all(here.subscribe(controller));
    const back = here.subscribe({ after: first - 1 });
    expect(await taken(back, 10)).to.have.length(10);
    await here.close();
    expect(here.state).to.equal('closed');
    expect((await live).length).to.be.at.most(1000);
    await all(back);
    expect(here.subscribers).to.equal(0);
    expect((await infoOf(other)).state.consumer_count).to.equal(1);
    expect(here.nc.isClosed()).to.equal(false);
    expect(await all(here.subscribe())).to.deep.equal([]);
    const error = await here.publish(1).catch(error => error);
    expect(error).to.include({ code: status.UNAVAILABLE, details: 'the topic is closed' });
    await here.close();
  });

  it('N8 keeps nothing of 1,000 who came and went', async () => {
    const here = await open(server, { history: 1 });
    const [first = 0] = await publishAll(here, 1, 600);
    const { signal } = new AbortController();
    await until('it is read', () => here.behind === 0);
    for (let round = 0; round < 1000; round++) {
      const subscription = here.subscribe({ signal, ...(round % 2 && { after: first + (round % 600) }) });
      const waits = round % 3 === 0 ? subscription.next() : undefined;
      void subscription.return?.();
      await waits;
    }
    expect(here.subscribers).to.equal(0);
    await until('the consumers are gone', () => here.catchingUp === 0);
    for (let tries = 0; (await infoOf(here)).state.consumer_count > 1 && tries < 100; tries++);
    expect((await infoOf(here)).state.consumer_count).to.equal(1);
  });

  const poison = (bytes: Uint8Array) => {
    const number = Number(Buffer.from(bytes).toString());
    if (number % 10 === 0) throw new RangeError(`${number} is poison`);
    return number;
  };

  it('N9 ends subscribers with one clear error at an item that cannot be decoded', async () => {
    const here = await open(server, { decode: poison });
    const live = failure(here.subscribe());
    const sequences = await publishAll(here, 1, 12);
    const tenth = sequences[9] as number;
    for (const answer of [
      await live,
      await failure(here.subscribe({ after: (sequences[0] as number) - 1 })),
    ]) {
      expect(answer.items).to.deep.equal(span(1, 9));
      expect(answer.error).to.include({
        code: status.DATA_LOSS,
        details: `message ${tenth} cannot be decoded`,
      });
      expect(answer.error.cause).to.be.instanceOf(RangeError);
    }
    expect(await taken(here.subscribe({ after: tenth }), 2)).to.deep.equal([11, 12]);
    expect(here.events.find(({ type }) => type === 'poison')).to.include({ sequence: tenth });
  });

  it('N9 leaves such items out, and counts them, when told so', async () => {
    const here = await open(server, { decode: poison, poison: 'skip' });
    const live = here.subscribe();
    const [first = 0] = await publishAll(here, 1, 31);
    const sound = span(1, 31).filter(number => number % 10);
    expect(await taken(live, 28)).to.deep.equal(sound);
    expect(here.skipped).to.equal(3);
    const there = await open(server, { decode: poison, poison: 'skip', history: 1 });
    expect(await taken(there.subscribe({ after: first - 1 }), 28)).to.deep.equal(sound);
    expect(here.events.filter(({ type }) => type === 'poison')).to.have.length(3);
  });

  it('N9 takes for no item what NATS writes when the last message of a subject is too old', async () => {
    const create = { max_age: 1e9, allow_msg_ttl: true, subject_delete_marker_ttl: 60e9, first_seq: 1 };
    const here = await open(server, { create, gaps: 'expected' });
    const live = here.subscribe();
    await here.publish(1);
    await until('NATS has written', () => here.last === 2, 10_000);
    const there = await open(server, { create, gaps: 'expected' });
    expect(there.last).to.equal(2);
    await publishAll(here, 2, 3);
    expect(await taken(live, 3)).to.deep.equal([1, 2, 3]);
    for (const after of [1, 2]) expect(await taken(there.subscribe({ after }), 2)).to.deep.equal([2, 3]);
    expect(here.skipped + there.skipped).to.equal(0);
    expect(here.events.map(({ type }) => type)).to.deep.equal(['live']);
  });

  it('N9 leaves such messages out of what is read from the stream, and no item without bytes', async () => {
    const decode = (bytes: Uint8Array) => bytes.length;
    const here = await open<number>(server, { encode: () => '', decode, history: 1 });
    const first = await here.publish(0);
    const mark = headers();
    mark.set('Nats-Marker-Reason', 'MaxAge');
    for (let n = 0; n < 10; n++) here.nc.publish('updates', '', { headers: mark });
    let last = 0;
    for (let n = 0; n < 600; n++) last = await here.publish(0);
    await until('it is read', () => here.last === last);
    expect(last).to.equal(first + 610);
    const back = here.subscribe({ after: first - 1 });
    expect(await taken(back, 601)).to.deep.equal(Array(601).fill(0));
    expect(back.size).to.equal(0);
  });

  it('reads what a stream stores under another subject', async () => {
    const create = {
      subjects: ['in.>'],
      subject_transform: { src: 'in.*', dest: 'out.{{wildcard(1)}}' },
    };
    const here = await open(server, { create, subject: 'in.a', subjects: 'out.a' });
    const live = here.subscribe();
    await publishAll(here, 1, 3);
    expect(await taken(live, 3)).to.deep.equal([1, 2, 3]);
    const left = await open(server, { subject: 'in.a.b' });
    const whole = left.subscribe();
    await left.publish(4);
    expect(await taken(whole, 1)).to.deep.equal([4]);
    for (const subjects of ['in.a', 'in.*', 'out', 'out.a.b']) {
      const error = await open(server, { subject: 'in.a', subjects }).catch(error => error);
      expect(error, subjects).to.be.instanceOf(TypeError);
      expect(error.message).to.include(
        '`subjects` to be among those of stream `updates` (in.>, stored as out.',
      );
    }
  });

  it('N2 resumes in a mirror of a stream, which has the same numbers', async () => {
    const here = await open(server);
    const { streams } = await jetstreamManager(here.nc);
    await streams.add({ name: 'mirror', mirror: { name: 'updates' } });
    const there = await open(server, { stream: 'mirror' });
    const live = there.subscribe();
    const [first] = await publishAll(here, 1, 3);
    expect(await taken(live, 3)).to.deep.equal([1, 2, 3]);
    expect(await taken(there.subscribe({ after: first as number }), 2)).to.deep.equal([2, 3]);
    await streams.delete('mirror');
  });

  it('asks JetStream where another account exports it', async () => {
    const accounts = `accounts {
      A { jetstream: enabled, exports: [{ service: "$JS.API.>", response_type: stream }, { service: updates }] }
      B { users: [{ user: b, password: b }], imports: [
        { service: { account: A, subject: "$JS.API.>" }, to: "js.a.>" }
        { service: { account: A, subject: updates } }
      ] }
    }, no_auth_user: b`;
    const other = await startNats({} as never, '-js', '-c', configFile(accounts));
    const here = await open(other, { apiPrefix: 'js.a' });
    const live = here.subscribe();
    const [first] = await publishAll(here, 1, 600);
    expect(await taken(live, 600)).to.deep.equal(span(1, 600));
    await here.nc.reconnect();
    expect(await taken(here.subscribe({ after: first as number }), 599)).to.deep.equal(span(2, 600));
    await here.leave();
    await other.destroy();
  });

  it('reads some subjects of a stream, and what it passes over is no gap', async () => {
    const create = { subjects: ['updates.>'] };
    const settings = { create, subject: 'updates.a', subjects: 'updates.a' };
    const here = await open(server, settings);
    const [first = 0] = await publishAll(here, 1, 1);
    for (const number of span(1, 300)) await here.publish(-number, { subject: 'updates.b' });
    await here.publish(2);
    const there = await open(server, { ...settings, history: 0 });
    expect(await taken(there.subscribe({ after: first }), 1)).to.deep.equal([2]);
    const both = await open(server, { ...settings, subjects: ['updates.a', 'updates.b'] });
    expect(await taken(both.subscribe({ after: first }), 301)).to.have.length(301);
  });

  it('takes 0 for none where numbers begin beyond 1, and for the beginning where they begin at 1', async () => {
    const unset = [0, -0, 0n, '0', '00'];
    const here = await open(server);
    const sequences = await publishAll(here, 1, 3);
    await until('it is read', () => here.last === sequences.at(-1));
    const fresh = unset.map(after => here.subscribe({ after }));
    await here.publish(4);
    for (const subscription of fresh) expect(await taken(subscription, 1)).to.deep.equal([4]);
    for (const create of [{ first_seq: 0 }, { first_seq: 1 }]) {
      await leaveAll();
      await server.clear();
      const old = await open(server, { create, history: 1 });
      await publishAll(old, 1, 1000);
      for (const after of unset)
        expect(await taken(old.subscribe({ after }), 1000)).to.deep.equal(span(1, 1000));
      await (await jetstreamManager(old.nc)).streams.purge('updates', { keep: 10 });
      for (const after of unset)
        expect((await failure(old.subscribe({ after }))).error).to.include({ code: status.OUT_OF_RANGE });
    }
  });

  it('answers at once what cannot be a position', async () => {
    const here = await open(server);
    for (const after of [
      '-1',
      -1,
      1.5,
      Number.NaN,
      'x',
      '1-',
      '1-2-3',
      ' 1',
      '1e3',
      2n ** 64n,
      '9'.repeat(17),
    ])
      expect(
        thrown(() => here.subscribe({ after })),
        String(after),
      ).to.include({
        code: status.INVALID_ARGUMENT,
      });
    for (const after of [undefined, null, '']) {
      const subscription = here.subscribe({ after });
      await here.publish(1);
      expect(await taken(subscription, 1)).to.deep.equal([1]);
      await subscription.return?.();
    }
  });
});
