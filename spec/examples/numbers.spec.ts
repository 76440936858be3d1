import { Metadata, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { numbers } from '../../examples/numbers.ts';
import { tutorial } from '../../examples/protos.ts';
import { all, watch } from '../support/examples.ts';
import { connectRaw, frame, requestRaw, statusOf } from '../support/frames.ts';
import { turn, until } from '../support/harness.ts';
import {
  callNothing,
  closeServed,
  narrow,
  readOne,
  type ServeOptions,
  serveExample,
  soonAfterCancel,
  standstill,
} from '../support/served.ts';

const { NumberService } = tutorial;
const { path, requestSerialize } = NumberService.service.ListNumbers;
const ENDLESS = 2 ** 31 - 1;

describe('examples: ListNumbers', () => {
  afterEach(closeServed);

  const serve = (options?: ServeOptions) => serveExample(numbers, NumberService, options);

  it('counts from 1 to max, then OK', async () => {
    const { client } = await serve();
    const { messages, code, header, trailer } = await all(client.listNumbers({ max: 10 }));
    expect(messages).to.deep.equal(Array.from({ length: 10 }, (_, i) => ({ num: i + 1 })));
    expect(code).to.equal(status.OK);
    expect(header).to.be.instanceOf(Metadata);
    expect(trailer.getMap()).to.deep.equal({});
  });

  it('leaves out no number of 100,000', async () => {
    const { client, seen } = await serve();
    const { messages, code } = await all(client.listNumbers({ max: 100_000 }));
    expect(code).to.equal(status.OK);
    expect(messages.findIndex(({ num }, i) => num !== i + 1)).to.equal(-1);
    expect({ received: messages.length, sent: seen.sent }).to.deep.equal({
      received: 100_000,
      sent: 100_000,
    });
  });

  it('has the field numbers of its tutorial', async () => {
    const { responseSerialize } = NumberService.service.ListNumbers;
    expect([...requestSerialize({ max: 10 })]).to.deep.equal([0x08, 10]);
    expect([...responseSerialize({ num: 7 })]).to.deep.equal([0x08, 7]);
  });

  for (const max of [undefined, 0, -1, -(2 ** 31)])
    it(`is empty and OK for a max of ${max}`, async () => {
      const { client } = await serve();
      const { messages, code } = await all(client.listNumbers(max === undefined ? {} : { max }));
      expect({ messages, code }).to.deep.equal({ messages: [], code: status.OK });
    });

  it('sends one number for a max of 1', async () => {
    const { client } = await serve();
    expect((await all(client.listNumbers({ max: 1 }))).messages).to.deep.equal([{ num: 1 }]);
  });

  it('serves streams that run at once, each in full', async () => {
    const { client } = await serve();
    const replies = await Promise.all([1, 20, 3000].map(max => all(client.listNumbers({ max }))));
    expect(replies.map(({ messages }) => messages.length)).to.deep.equal([1, 20, 3000]);
    for (const { messages } of replies) expect(messages.at(-1)).to.deep.equal({ num: messages.length });
  });

  it('answers UNIMPLEMENTED for a method it has not', async () => {
    const { client } = await serve();
    const call = callNothing(client, numbers.service);
    expect((await all(call)).code).to.equal(status.UNIMPLEMENTED);
  });

  it('ends by its deadline while it sends without a pause', async () => {
    const { client, seen } = await serve();
    const { messages, code } = await all(client.listNumbers({ max: ENDLESS }, { deadline: Date.now() + 50 }));
    expect(code).to.equal(status.DEADLINE_EXCEEDED);
    expect(messages.length).to.be.greaterThan(0);
    expect(messages.findIndex(({ num }, i) => num !== i + 1)).to.equal(-1);
    const sent = await standstill(() => seen.sent);
    await turn();
    expect(seen.sent).to.equal(sent);
  });

  it('keeps the deadline by itself, when its client does not', async () => {
    const { running } = await serve();
    const session = connectRaw(running.port);
    const stream = requestRaw(session, frame(requestSerialize({ max: ENDLESS })), {
      ':path': path,
      'grpc-timeout': '50m',
    });
    expect(await statusOf(stream)).to.equal(String(status.DEADLINE_EXCEEDED));
    session.destroy();
  });

  it('runs no further ahead than flow control lets it, and goes on where it was', async () => {
    const { client, seen } = await serve({ options: narrow });
    const { stream, messages } = watch(client.listNumbers({ max: ENDLESS }), { paused: true });
    messages.push(await readOne(stream));
    expect(await standstill(() => seen.sent)).to.be.lessThan(10_000);
    stream.on('data', message => messages.push(message)).resume();
    await until('it goes on', () => messages.length > 20_000);
    stream.cancel();
    expect(messages.findIndex(({ num }, i) => num !== i + 1)).to.equal(-1);
  });

  for (const paused of [false, true])
    it(`sends no more within 50 ms of a cancel by a client that ${paused ? 'does not read' : 'reads'}`, async () => {
      const { client, seen } = await serve();
      const { stream, ended } = watch(client.listNumbers({ max: ENDLESS }), { paused });
      if (paused) await readOne(stream);
      await until('it sends', () => seen.sent > 100);
      stream.cancel();
      expect((await ended).code).to.equal(status.CANCELLED);
      await soonAfterCancel(seen, 'the call is over', () => true);
      const { sent } = seen;
      for (let i = 0; i < 20; i++) await turn();
      expect(seen.sent).to.equal(sent);
    });
});
