import { AsyncLocalStorage } from 'node:async_hooks';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { configure, type Middleware, mount } from '../../lib/index.ts';
import { channel, topic } from '../../lib/sources/index.ts';
import { promisesIn } from '../sources/tools.ts';
import { type AnySource, definition, quiet, start, stopAll, turn, until } from '../support/harness.ts';

/** Serves a source, and counts what is encoded. */
async function serve(source: AnySource, ...middleware: Middleware[]) {
  const encoded: unknown[] = [];
  const responseSerialize = (message: unknown) => {
    const bytes = definition.stream.responseSerialize(message);
    encoded.push(message);
    return bytes;
  };
  const stream = { ...definition.stream, responseSerialize };
  const running = await start(server => mount(server, { stream }, { stream: source }, quiet, ...middleware));
  return { ...running, encoded };
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => ({ n }));

describe('what leat/sources hands over', () => {
  afterEach(stopAll);

  it('is sent within the push, without a promise', async () => {
    const items = channel<{ n: number }>();
    let asked = false;
    const { open, encoded } = await serve(() => {
      asked = true;
      return items;
    });
    const { reply } = open();
    await until('the call waits', () => asked);
    await turn();
    expect(promisesIn(() => items.push({ n: 1 }))).to.equal(0);
    expect(encoded).to.deep.equal([{ n: 1 }]);
    expect(items.size).to.equal(0);
    void items.push({ n: 2 });
    expect(encoded).to.deep.equal([{ n: 1 }, { n: 2 }]);
    items.close();
    expect(await reply).to.deep.include({ code: status.OK, messages: [{ n: 1 }, { n: 2 }] });
  });

  it('is sent to all subscribers within the publish, encoded once', async () => {
    const updates = topic<{ n: number }>();
    const { open, encoded } = await serve((_, call) => updates.subscribe(call));
    const replies = [open(), open(), open()].map(({ reply }) => reply);
    await until('all are subscribed', () => updates.subscribers === 3);
    await turn();
    expect(promisesIn(() => updates.publish({ n: 1 }))).to.equal(0);
    expect(encoded).to.have.length(1);
    updates.close();
    for (const reply of replies) expect((await reply).messages).to.deep.equal([{ n: 1 }]);
  });

  for (const waits of [true, false])
    it(`keeps to the window and the order in a burst that comes ${waits ? 'while' : 'before'} it is waited for`, async () => {
      const items = channel<{ n: number }>({ capacity: 10_000 });
      const burst = numbers(5_000);
      let asked = false;
      const { open, encoded } = await serve(
        () => {
          if (!waits) for (const item of burst) void items.push(item);
          asked = true;
          return items;
        },
        configure({ maxUnackedMessages: 4 }),
      );
      const { reply } = open();
      await until('the call is there', () => asked);
      await turn();
      if (waits) {
        for (const item of burst) void items.push(item);
        expect(encoded).to.have.length(4);
        expect(items.size).to.equal(burst.length - 4);
      }
      items.close();
      expect((await reply).messages).to.deep.equal(burst);
    });

  it('fails after the push, when it cannot be encoded, and nothing follows it', async () => {
    const updates = topic<unknown>();
    const told: unknown[] = [];
    let publishing = false;
    const onError = (error: unknown) => {
      told.push(publishing, error);
      updates.publish('another');
    };
    const failing = await serve((_, call) => updates.subscribe(call), configure({ onError }));
    const first = failing.open();
    await until('the first is subscribed', () => updates.subscribers === 1);
    const { open } = await serve(async function* (_, call) {
      for await (const update of updates.subscribe(call)) yield String(update);
    });
    const second = open();
    await until('both are subscribed', () => updates.subscribers === 2);
    await turn();
    publishing = true;
    for (const update of ['one', 1n, 'two']) updates.publish(update);
    publishing = false;
    expect(await first.reply).to.deep.include({ code: status.INTERNAL, messages: ['one'] });
    expect(told).to.have.length(2);
    expect(told[0]).to.equal(false);
    expect(told[1]).to.have.property('cause').that.is.instanceOf(TypeError);
    updates.close();
    expect((await second.reply).messages).to.deep.equal(['one', '1', 'two', 'another']);
  });

  it('reaches a layer that takes messages in the context of the call', async () => {
    const items = channel<string>();
    const context = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    let asked = false;
    const { open } = await serve(
      () => {
        asked = true;
        return items;
      },
      () => ({ start: next => context.run('the call', next) }),
      (_, next) => ({
        message(message) {
          seen.push(context.getStore());
          next.message(message);
        },
      }),
    );
    const { reply } = open();
    await until('the call waits', () => asked);
    await turn();
    context.run('the publisher', () => items.push('a'));
    items.close();
    expect((await reply).messages).to.deep.equal(['a']);
    expect(seen).to.deep.equal(['the call']);
  });

  it('is not sent once the call is over', async () => {
    const updates = topic<{ n: number }>();
    const { open, encoded } = await serve((_, call) => updates.subscribe(call));
    const { reply, cancel } = open();
    await until('it is subscribed', () => updates.subscribers === 1);
    cancel();
    await reply;
    await until('it is gone', () => updates.subscribers === 0);
    updates.publish({ n: 1 });
    expect(encoded).to.deep.equal([]);
  });
});
