import { Metadata, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { Updates } from '../../examples/updates.ts';
import { all, closeClients, serveStreams, watch } from '../support/examples.ts';
import { stopAll, until } from '../support/harness.ts';

const HISTORY = 1000;

describe('examples: SubscribeToUpdates, of a client that comes back', () => {
  let updates: Updates;
  let published: number;

  const serve = () => {
    updates = new Updates({ speed: 1, log: () => {} });
    published = 0;
    return serveStreams({ subscribeToUpdates: updates.handler });
  };
  const publish = (count: number) => {
    for (let i = 0; i < count; i++)
      updates.publish(['orders', 'alerts'][published % 2] ?? '', `${published++}`, {});
  };
  const since = (id: unknown) => {
    const metadata = new Metadata();
    metadata.set('last-event-id', String(id));
    return metadata;
  };
  const topics = ['orders', 'alerts'];
  const numbers = (messages: { message: string }[]) => messages.map(({ message }) => Number(message));
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

  /** Serves, with some published; answers the sequence number of the first. */
  const begun = async (count: number) => {
    const client = await serve();
    const { stream, messages } = watch(client.subscribeToUpdates({ topics }));
    await until('it is subscribed', () => updates.subscribers === 1);
    publish(1);
    await until('the first is here', () => messages.length === 1);
    stream.cancel();
    await until('it has left', () => updates.subscribers === 0);
    publish(count - 1);
    return { client, first: Number(messages[0]?.sequence) };
  };

  afterEach(async () => {
    updates.close();
    closeClients();
    await stopAll();
  });

  it('sends what it missed, then what comes, without a gap or a repeat', async () => {
    const { client, first } = await begun(10);
    const { stream, messages } = watch(client.subscribeToUpdates({ topics }, since(first + 3)));
    await until('history is here', () => messages.length === 6);
    publish(5);
    await until('the others are here', () => messages.length === 11);
    stream.cancel();
    expect(numbers(messages)).to.deep.equal(range(4, 15));
    expect(messages.map(({ sequence }) => Number(sequence) - first)).to.deep.equal(range(4, 15));
  });

  it('sends only what it missed about its topics', async () => {
    const { client, first } = await begun(10);
    const { stream, messages } = watch(client.subscribeToUpdates({ topics: ['alerts'] }, since(first)));
    await until('history is here', () => messages.length === 5);
    stream.cancel();
    expect(numbers(messages)).to.deep.equal([1, 3, 5, 7, 9]);
  });

  it('sends all of history, however little may wait for a subscriber', async () => {
    const { client, first } = await begun(HISTORY + 1);
    const { stream, messages } = watch(client.subscribeToUpdates({ topics }, since(first)));
    await until('history is here', () => messages.length === HISTORY);
    stream.cancel();
    expect(numbers(messages)).to.deep.equal(range(1, HISTORY + 1));
  });

  it('goes on with the next one after the last there is', async () => {
    const { client, first } = await begun(3);
    const { stream, messages } = watch(client.subscribeToUpdates({ topics }, since(first + 2)));
    await until('it is subscribed', () => updates.subscribers === 1);
    publish(1);
    await until('it is here', () => messages.length === 1);
    stream.cancel();
    expect(numbers(messages)).to.deep.equal([3]);
  });

  for (const id of ['', '0'])
    it(`begins with the next one after '${id}', which a new client has`, async () => {
      const { client } = await begun(3);
      const { stream, messages } = watch(client.subscribeToUpdates({ topics }, since(id)));
      await until('it is subscribed', () => updates.subscribers === 1);
      publish(1);
      await until('it is here', () => messages.length === 1);
      stream.cancel();
      expect(numbers(messages)).to.deep.equal([3]);
    });

  it('goes on where it was through one stream after the other', async () => {
    const { client, first } = await begun(1);
    const got: number[] = [];
    let last: unknown = first;
    for (let round = 0; round < 5; round++) {
      publish(4);
      const { stream, messages } = watch(client.subscribeToUpdates({ topics }, since(last)));
      await until('some are here', () => messages.length >= 3);
      stream.cancel();
      const taken = messages.slice(0, 3);
      last = taken.at(-1)?.sequence;
      got.push(...numbers(taken));
    }
    expect(got).to.deep.equal(range(1, 16));
  });

  it('answers OUT_OF_RANGE when history does not reach back', async () => {
    const { client, first } = await begun(HISTORY + 2);
    const { messages, code, details } = await all(client.subscribeToUpdates({ topics }, since(first)));
    expect({ messages, code, details }).to.deep.equal({
      messages: [],
      code: status.OUT_OF_RANGE,
      details: `history begins at ${first + 2}, which is beyond ${first + 1}`,
    });
    expect(updates.subscribers).to.equal(0);
  });

  for (const id of ['1', '00', '9007199254740991'])
    it(`answers OUT_OF_RANGE for ${id}, which it never gave`, async () => {
      const { client } = await begun(3);
      expect((await all(client.subscribeToUpdates({ topics }, since(id)))).code).to.equal(
        status.OUT_OF_RANGE,
      );
    });

  it('answers OUT_OF_RANGE for one that is still to come', async () => {
    const { client, first } = await begun(3);
    const { code, details } = await all(client.subscribeToUpdates({ topics }, since(first + 3)));
    expect({ code, details }).to.deep.equal({
      code: status.OUT_OF_RANGE,
      details: `history ends at ${first + 2}, before ${first + 3}`,
    });
  });

  it('answers OUT_OF_RANGE to a client of the server before', async () => {
    const { first } = await begun(3);
    updates.close();
    await new Promise(resolve => setTimeout(resolve, 2));
    const client = await serve();
    expect((await all(client.subscribeToUpdates({ topics }, since(first + 1)))).code).to.equal(
      status.OUT_OF_RANGE,
    );
  });

  for (const id of ['abc', '-1', '+1', '1.5', '1e3', '0x10', '9007199254740993', '1'.repeat(400), 'NaN'])
    it(`refuses '${id.slice(0, 20)}' for a last-event-id`, async () => {
      const { client } = await begun(3);
      const { messages, code, details } = await all(client.subscribeToUpdates({ topics }, since(id)));
      expect({ messages, code, details }).to.deep.equal({
        messages: [],
        code: status.INVALID_ARGUMENT,
        details: 'the sequence number to resume after is not an integer',
      });
      expect(updates.subscribers).to.equal(0);
    });
});
