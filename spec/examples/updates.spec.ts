import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { streamservice } from '../../examples/protos.ts';
import { Updates } from '../../examples/updates.ts';
import type { Update__Output } from '../../proto/generated/streamservice/Update.ts';
import { all, closeClients, serveStreams, watch } from '../support/examples.ts';
import { soon, stopAll, until } from '../support/harness.ts';
import { timers } from '../support/served.ts';

const TOPICS = ['orders', 'inventory', 'alerts'];

describe('examples: SubscribeToUpdates', () => {
  let updates: Updates;
  const logged: string[] = [];

  const serve = (speed = 1) => {
    updates = new Updates({ speed, log: line => logged.push(line) });
    return serveStreams({ subscribeToUpdates: updates.handler });
  };
  const texts = (messages: Update__Output[]) => messages.map(({ message }) => message);

  afterEach(async () => {
    updates.close();
    closeClients();
    await stopAll();
    logged.length = 0;
  });

  it('sends a subscriber what is published about its topics from then on', async () => {
    const client = await serve();
    updates.publish('orders', 'too early', {});
    const { stream, messages } = watch(client.subscribeToUpdates({ topics: ['orders', 'alerts'] }));
    await until('it is subscribed', () => updates.subscribers === 1);
    updates.publish('orders', 'one', { by: 'me' });
    updates.publish('inventory', 'not for it', {});
    updates.publish('alerts', 'two', {});
    await until('both are here', () => messages.length === 2);
    stream.cancel();
    expect(texts(messages)).to.deep.equal(['one', 'two']);
    expect(messages[0]).to.deep.include({ topic: 'orders', metadata: { by: 'me' } });
    expect(Number(messages[1]?.sequence) - Number(messages[0]?.sequence)).to.equal(2);
  });

  it('sends its headers at once', async () => {
    const client = await serve();
    const { stream, messages } = watch(client.subscribeToUpdates({ topics: TOPICS }));
    await new Promise(resolve => stream.once('metadata', resolve));
    expect(messages).to.deep.equal([]);
    stream.cancel();
  });

  it('has the field numbers of its tutorial, and 5 for the sequence', () => {
    const { requestSerialize, responseSerialize } = streamservice.StreamService.service.SubscribeToUpdates;
    expect([...requestSerialize({ topics: ['a', 'b'], clientId: 'c' })]).to.deep.equal([
      ...[0x0a, 1, 97],
      ...[0x0a, 1, 98],
      ...[0x12, 1, 99],
    ]);
    const update = {
      topic: 'a',
      message: 'b',
      timestamp: { seconds: 1, nanos: 2 },
      metadata: { k: 'v' },
      sequence: 7,
    };
    expect([...responseSerialize(update)]).to.deep.equal([
      ...[0x0a, 1, 97],
      ...[0x12, 1, 98],
      ...[0x1a, 4, 0x08, 1, 0x10, 2],
      ...[0x22, 6, 0x0a, 1, 107, 0x12, 1, 118],
      ...[0x28, 7],
    ]);
  });

  it('sends an update once, however often its topic is asked for', async () => {
    const client = await serve();
    const { stream, messages } = watch(
      client.subscribeToUpdates({ topics: ['orders', 'orders', 'alerts', 'orders'] }),
    );
    await until('it is subscribed', () => updates.subscribers === 1);
    updates.publish('orders', 'one', {});
    updates.publish('alerts', 'two', {});
    await until('the second is here', () => messages.length >= 2);
    stream.cancel();
    expect(texts(messages)).to.deep.equal(['one', 'two']);
  });

  for (const topics of [[], [''], ['nothing'], ['ORDERS'], ['x'.repeat(100_000)]])
    it(`keeps the stream for ${JSON.stringify(topics).slice(0, 20)} open, without updates`, async () => {
      const client = await serve();
      const nothing = watch(client.subscribeToUpdates({ topics }));
      const other = watch(client.subscribeToUpdates({ topics: TOPICS }));
      await until('both are subscribed', () => updates.subscribers === 2);
      for (const topic of TOPICS) updates.publish(topic, 'hello', {});
      await until('the other has them', () => other.messages.length === 3);
      expect(nothing.messages).to.deep.equal([]);
      expect(updates.subscribers).to.equal(2);
      for (const { stream } of [nothing, other]) stream.cancel();
      expect((await nothing.ended).code).to.equal(status.CANCELLED);
    });

  it('sends each of two subscribers what is theirs', async () => {
    const client = await serve();
    const orders = watch(client.subscribeToUpdates({ topics: ['orders', 'alerts'], clientId: 'same' }));
    const alerts = watch(client.subscribeToUpdates({ topics: ['alerts'], clientId: 'same' }));
    await until('both are subscribed', () => updates.subscribers === 2);
    for (const topic of TOPICS) updates.publish(topic, `about ${topic}`, {});
    await until('all are here', () => orders.messages.length + alerts.messages.length === 3);
    expect(texts(orders.messages)).to.deep.equal(['about orders', 'about alerts']);
    expect(alerts.messages).to.deep.equal(orders.messages.slice(1));
    for (const { stream } of [orders, alerts]) stream.cancel();
  });

  it('publishes to each topic a second, as the system, with the time', async () => {
    const client = await serve(50);
    const { stream, messages } = watch(client.subscribeToUpdates({ topics: TOPICS }));
    await until('it is subscribed', () => updates.subscribers === 1);
    const began = Date.now();
    const running = updates.demo();
    await until('four rounds are here', () => messages.length >= 12);
    stream.cancel();
    updates.close();
    await running;
    expect(Date.now() - began).to.be.at.least(3 * 19);
    const first = Number(messages[0]?.sequence);
    for (const [i, { timestamp, sequence, ...rest }] of messages.entries()) {
      const topic = TOPICS[i % 3];
      expect(rest).to.deep.equal({ topic, message: `Update from ${topic}`, metadata: { source: 'system' } });
      expect(Number(sequence)).to.equal(first + i);
      const at = Number(timestamp?.seconds) * 1000 + Number(timestamp?.nanos) / 1e6;
      expect(at).to.be.within(began, Date.now());
    }
  });

  it('leaves no timer behind a publisher that is closed', async () => {
    await serve();
    const before = timers();
    const running = updates.demo();
    await until('it waits', () => timers() > before);
    updates.close();
    await running;
    expect(timers()).to.equal(before);
  });

  it('ends its streams when it is closed, after what is on its way', async () => {
    const client = await serve();
    const { messages, ended } = watch(client.subscribeToUpdates({ topics: TOPICS }));
    await until('it is subscribed', () => updates.subscribers === 1);
    updates.publish('orders', 'the last', {});
    updates.close();
    const { code, trailer } = await ended;
    expect({ code, trailer: trailer.getMap() }).to.deep.equal({
      code: status.OK,
      trailer: { 'x-skipped': '0' },
    });
    expect(texts(messages)).to.deep.equal(['the last']);
  });

  it('forgets a subscriber within 50 ms of its cancel', async () => {
    const client = await serve();
    const { stream, ended } = watch(client.subscribeToUpdates({ topics: TOPICS }));
    await until('it is subscribed', () => updates.subscribers === 1);
    stream.cancel();
    await ended;
    await soon('it is forgotten', () => updates.subscribers === 0);
    expect(logged).to.deep.equal([]);
  });

  it('forgets a subscriber at its deadline', async () => {
    const client = await serve();
    const deadline = Date.now() + 60;
    const { code } = await all(client.subscribeToUpdates({ topics: TOPICS }, { deadline }));
    expect(code).to.equal(status.DEADLINE_EXCEEDED);
    await until('it is forgotten', () => updates.subscribers === 0);
  });
});
