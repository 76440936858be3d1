import { getDefaultHighWaterMark, setDefaultHighWaterMark } from 'node:stream';
import { Metadata, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { StreamServer } from '../../examples/protos.ts';
import { values } from '../../examples/values.ts';
import { all, watch } from '../support/examples.ts';
import { until } from '../support/harness.ts';
import {
  callNothing,
  closeServed,
  readOne,
  serveExample,
  soonAfterCancel,
  standstill,
  timers,
} from '../support/served.ts';

const LONG = 'x'.repeat(1_000_000);

describe('examples: ListValue', () => {
  afterEach(closeServed);

  const serve = (speed = 1) => serveExample(values, StreamServer, { speed });
  const slowly = new Metadata();
  slowly.set('slow', '1');
  const counted = (data: string, count: number) =>
    Array.from({ length: count }, (_, n) => ({ streamValue: `${data}${n}` }));

  it('sends the data followed by 0 to 4, then OK', async () => {
    const { client, logged } = await serve();
    const { messages, code, trailer } = await all(client.listValue({ data: 'stream server grpc ' }));
    expect(messages.map(({ streamValue }) => streamValue)).to.deep.equal([
      'stream server grpc 0',
      'stream server grpc 1',
      'stream server grpc 2',
      'stream server grpc 3',
      'stream server grpc 4',
    ]);
    expect({ code, trailer: trailer.getMap() }).to.deep.equal({ code: status.OK, trailer: {} });
    expect(logged).to.deep.equal([...[0, 1, 2, 3, 4].map(n => `value ${n}`), 'no more values']);
  });

  for (const [what, data] of Object.entries({
    'no data': '',
    'text of all kinds': '\0\n漢字 🙂 %s',
    'a million characters': LONG,
  }))
    it(`takes ${what}`, async () => {
      const { client } = await serve();
      expect((await all(client.listValue({ data }))).messages).to.deep.equal(counted(data, 5));
    });

  it('refuses data of more than 4 MiB, as gRPC does', async () => {
    const { client, logged } = await serve();
    const { messages, code } = await all(client.listValue({ data: 'x'.repeat(2 ** 22) }));
    expect({ messages, code }).to.deep.equal({ messages: [], code: status.RESOURCE_EXHAUSTED });
    expect(logged).to.deep.equal([]);
  });

  it('has the field numbers of its tutorial', () => {
    const { requestSerialize, responseSerialize } = StreamServer.service.ListValue;
    expect([...requestSerialize({ data: 'a' })]).to.deep.equal([0x0a, 1, 97]);
    expect([...responseSerialize({ streamValue: 'a' })]).to.deep.equal([0x0a, 1, 97]);
  });

  it('sends fifteen values when it is told to be slow', async () => {
    const { client } = await serve(1000);
    const { messages, code } = await all(client.listValue({ data: 'n' }, slowly));
    expect({ messages, code }).to.deep.equal({ messages: counted('n', 15), code: status.OK });
  });

  it('waits a second between slow values', async () => {
    const { client } = await serve(100);
    const began = performance.now();
    const { stream, messages } = watch(client.listValue({ data: 'n' }, slowly));
    await until('six are here', () => messages.length === 6);
    expect(performance.now() - began).to.be.at.least(5 * 9);
    stream.cancel();
  });

  it('makes no more values within 50 ms of a client stopping after the first', async () => {
    const { client, seen, logged } = await serve();
    const before = timers();
    const { stream, messages, ended } = watch(client.listValue({ data: 'n' }, slowly));
    await until('the first is here', () => messages.length === 1);
    stream.cancel();
    expect((await ended).code).to.equal(status.CANCELLED);
    await soonAfterCancel(
      seen,
      'nobody waits to make another',
      () => logged.includes('no more values') && timers() === before,
    );
    expect(logged).to.deep.equal(['value 0', 'no more values']);
  });

  it('makes no more at the deadline', async () => {
    const { client, logged } = await serve();
    const before = timers();
    const { messages, code } = await all(
      client.listValue({ data: 'n' }, slowly, { deadline: Date.now() + 100 }),
    );
    expect({ messages, code }).to.deep.equal({ messages: counted('n', 1), code: status.DEADLINE_EXCEEDED });
    await until('nobody waits to make another', () => timers() === before);
    expect(logged).to.deep.equal(['value 0', 'no more values']);
  });

  describe('for a client that pauses', () => {
    const ahead = getDefaultHighWaterMark(true);
    before(() => setDefaultHighWaterMark(true, 1)); // or grpc-js reads 16 messages ahead
    after(() => setDefaultHighWaterMark(true, ahead));

    it('stands still, and goes on where it was', async () => {
      const { client, seen, logged } = await serve(1000);
      const { stream, messages, ended } = watch(client.listValue({ data: LONG }, slowly), { paused: true });
      messages.push(await readOne(stream));
      expect(await standstill(() => seen.sent)).to.be.within(2, 4);
      expect(logged.length).to.be.within(2, 5);
      expect(logged).to.not.include('no more values');
      stream.on('data', message => messages.push(message)).resume();
      expect((await ended).code).to.equal(status.OK);
      expect(messages).to.deep.equal(counted(LONG, 15));
      expect(logged).to.deep.equal([...Array.from({ length: 15 }, (_, n) => `value ${n}`), 'no more values']);
    });

    it('can pause again and again', async () => {
      const { client } = await serve();
      const iterator = client.listValue({ data: LONG })[Symbol.asyncIterator]();
      for (const expected of counted(LONG, 5)) {
        expect((await iterator.next()).value).to.deep.equal(expected);
        await new Promise(resolve => setTimeout(resolve, 5));
      }
      expect((await iterator.next()).done).to.equal(true);
    });

    it('makes no more within 50 ms of it leaving', async () => {
      const { client, seen, logged } = await serve();
      const { stream, ended } = watch(client.listValue({ data: LONG }), { paused: true });
      await readOne(stream);
      await standstill(() => seen.sent);
      stream.cancel();
      await ended;
      await soonAfterCancel(seen, 'the producer is over', () => logged.includes('no more values'));
      expect(logged.length).to.be.lessThan(6);
    });
  });

  it('answers UNIMPLEMENTED for a method it has not', async () => {
    const { client } = await serve();
    expect((await all(callNothing(client, values.service))).code).to.equal(status.UNIMPLEMENTED);
  });
});
