import { createReadStream } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { type ClientReadableStream, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { configure, type Middleware, mount } from '../../lib/index.ts';
import { from, merge } from '../../lib/sources/index.ts';
import {
  type AnySource,
  type Calling,
  definition,
  type Running,
  serve,
  start,
  stopAll,
  until,
} from '../support/harness.ts';

/** Serves a source, and keeps what its owner hears of. */
async function heard(source: AnySource) {
  const told: any[] = [];
  const onError: Middleware = configure({ onError: error => told.push(error) });
  const running = await start(server => mount(server, definition, { stream: source }, onError));
  return { ...running, told };
}

describe('what a source returns', () => {
  afterEach(stopAll);

  describe('a client stream of grpc-js', () => {
    let upstream: Running;
    let open: number;

    beforeEach(async () => {
      open = 0;
      upstream = await serve('mount', async function* () {
        open += 1;
        try {
          for (let n = 1; ; n++) {
            yield { n };
            await wait(1);
          }
        } finally {
          open -= 1;
        }
      });
    });

    /** As a proxy calls on. */
    const ask = (): ClientReadableStream<{ n: number }> => {
      const { path, requestSerialize, responseDeserialize } = definition.stream;
      return upstream.client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {});
    };

    const proxies: Record<string, AnySource> = {
      'as it is': () => ask(),
      'by from()': (_, call) => from(ask(), call),
      'by merge()': (_, call) => merge(ask(), ask(), { signal: call.signal }),
      'by merge(), not opened yet': (_, call) => merge(ask(), ask(), { concurrency: 1, signal: call.signal }),
    };

    for (const [way, source] of Object.entries(proxies))
      it(`is cancelled when the call is: ${way}`, async () => {
        const proxy = await heard(source);
        const calling: Calling = proxy.open();
        await new Promise(resolve => calling.stream.once('data', resolve));
        expect(open).to.be.within(1, 2);
        calling.cancel();
        expect((await calling.reply).code).to.equal(status.CANCELLED);
        await until('upstream is cancelled', () => open === 0);
        await wait(10);
        expect(proxy.told).to.deep.equal([]);
      });

    it('is not cancelled when it ended by itself', async () => {
      const short = await serve('mount', () => [{ n: 1 }]);
      const { path, requestSerialize, responseDeserialize } = definition.stream;
      const proxy = await heard(() =>
        short.client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {}),
      );
      expect(await proxy.call()).to.deep.include({ code: status.OK, messages: [{ n: 1 }] });
      expect(proxy.told).to.deep.equal([]);
    });
  });

  it('may be a merge whose file is not there, which fails before its turn comes', async () => {
    async function* slow(): AsyncGenerator<{ n: number }> {
      yield { n: 1 };
      await wait(15);
      yield { n: 2 };
    }
    const { call, told } = await heard((_, { signal }) =>
      merge(slow(), createReadStream('/missing'), { concurrency: 1, signal }),
    );
    expect(await call()).to.deep.include({ code: status.UNKNOWN, messages: [{ n: 1 }, { n: 2 }] });
    expect(told.map(({ code }) => code)).to.deep.equal(['ENOENT']);
  });

  const broken: Record<string, unknown> = {
    'an async iterable': { [Symbol.asyncIterator]: () => ({}) },
    'an iterable': { [Symbol.iterator]: () => ({ next: 1 }) },
    'an iterable of null': { [Symbol.iterator]: () => null },
  };
  for (const [what, stream] of Object.entries(broken))
    it(`is no stream when it is ${what} whose iterator has no next()`, async () => {
      const { call, told } = await heard(() => stream as never);
      expect(await call()).to.include({ code: status.INTERNAL, details: 'the method has no stream' });
      expect(told).to.have.length(1);
      expect(told[0].message).to.match(/^Expected the iterator of a stream to have `next\(\)`, got `/);
    });

  it('is one that nobody else reads', async () => {
    const stream = new ReadableStream();
    stream.getReader();
    const { call, told } = await heard(() => stream as never);
    expect(await call()).to.include({ code: status.INTERNAL, details: 'the stream is already read' });
    expect(told[0].message).to.equal(
      'A ReadableStream can be read by one reader; this one is locked by another',
    );
  });
});
