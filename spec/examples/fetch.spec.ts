import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { fetch } from '../../examples/fetch.ts';
import { protobuf } from '../../examples/protos.ts';
import { all, watch } from '../support/examples.ts';
import { until } from '../support/harness.ts';
import { callNothing, closeServed, serveExample, soonAfterCancel, timers } from '../support/served.ts';

const { StreamService } = protobuf;
const PRODUCERS = [0, 1, 2, 3, 4];

describe('examples: FetchResponse', () => {
  afterEach(closeServed);

  const serve = (speed = 1) => serveExample(fetch, StreamService, { speed });
  const answers = (id: number) => PRODUCERS.map(k => ({ result: `Request #${k} For Id:${id}` }));

  it('sends what five producers make, as they make it, then OK', async () => {
    const { client } = await serve(200);
    const { messages, code, trailer } = await all(client.fetchResponse({ id: 1 }));
    expect({ messages, code }).to.deep.equal({ messages: answers(1), code: status.OK });
    expect(trailer.getMap()).to.deep.equal({});
  });

  it('logs the request, and each producer as it is done', async () => {
    const { client, logged } = await serve(200);
    await all(client.fetchResponse({ id: 7 }));
    expect(logged).to.deep.equal([
      'fetch response for id : 7',
      ...PRODUCERS.map(k => `finishing request number : ${k}`),
    ]);
  });

  it('has the field numbers of its tutorial', () => {
    const { requestSerialize, responseSerialize } = StreamService.service.FetchResponse;
    expect([...requestSerialize({ id: 3 })]).to.deep.equal([0x08, 3]);
    expect([...responseSerialize({ result: 'a' })]).to.deep.equal([0x0a, 1, 97]);
  });

  for (const id of [0, -1, 2 ** 31 - 1, -(2 ** 31)])
    it(`takes ${id} for an id`, async () => {
      const { client } = await serve(1000);
      expect((await all(client.fetchResponse({ id }))).messages).to.deep.equal(answers(id));
    });

  it('takes 0 for an id that is not given', async () => {
    const { client } = await serve(1000);
    expect((await all(client.fetchResponse({}))).messages).to.deep.equal(answers(0));
  });

  it('lets all producers wait at once, and sends the first before the others are ready', async () => {
    const { client } = await serve();
    const before = timers();
    const { messages, stream, ended } = watch(client.fetchResponse({ id: 1 }));
    await until('the first is here', () => messages.length === 1);
    expect(timers() - before).to.equal(4);
    expect(messages).to.deep.equal(answers(1).slice(0, 1));
    stream.cancel();
    await ended;
  });

  it('takes as long as its slowest producer at least', async () => {
    const { client } = await serve(40);
    const began = performance.now();
    const arrivals: number[] = [];
    const { stream, ended } = watch(client.fetchResponse({ id: 1 }));
    stream.on('data', () => arrivals.push(performance.now() - began));
    await ended;
    expect(arrivals).to.have.length(5);
    for (const [k, ms] of arrivals.entries()) expect(ms).to.be.at.least(k * 25 - 1);
  });

  it('keeps requests that come at once apart', async () => {
    const { client } = await serve(200);
    const replies = await Promise.all([1, 2, 3].map(id => all(client.fetchResponse({ id }))));
    expect(replies.map(({ messages }) => messages)).to.deep.equal([answers(1), answers(2), answers(3)]);
  });

  it('stops the producers that still wait within 50 ms of a cancel', async () => {
    const { client, seen, logged } = await serve();
    const before = timers();
    const { messages, stream, ended } = watch(client.fetchResponse({ id: 1 }));
    await until('the first is here', () => messages.length === 1);
    stream.cancel();
    expect((await ended).code).to.equal(status.CANCELLED);
    await soonAfterCancel(seen, 'nobody waits', () => timers() === before);
    expect(logged).to.deep.equal(['fetch response for id : 1', 'finishing request number : 0']);
  });

  it('stops them at the deadline', async () => {
    const { client, logged } = await serve();
    const before = timers();
    const { messages, code } = await all(client.fetchResponse({ id: 1 }, { deadline: Date.now() + 100 }));
    expect({ messages, code }).to.deep.equal({
      messages: answers(1).slice(0, 1),
      code: status.DEADLINE_EXCEEDED,
    });
    await until('nobody waits', () => timers() === before);
    expect(logged).to.have.length(2);
  });

  it('answers UNIMPLEMENTED for a method it has not', async () => {
    const { client } = await serve();
    expect((await all(callNothing(client, fetch.service))).code).to.equal(status.UNIMPLEMENTED);
  });
});
