import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { configure, StatusError } from '../../lib/index.ts';
import { type AnySource, type MountName, mountNames, serve, stopAll, until } from '../support/harness.ts';
import { endless, narrow } from '../support/lifecycle.ts';
import { settled, watcher } from '../support/observe.ts';
import { Peer, stalledPeer } from '../support/peer.ts';

describe('the messages of a source', () => {
  afterEach(stopAll);

  for (const on of mountNames) describe(`on ${on}`, () => flows(on));
});

function flows(on: MountName): void {
  it('S11 resumes after every stall, once, and loses nothing', async () => {
    const count = 3000;
    let stalls = 0;
    const server = await serve(
      on,
      async function* () {
        for (let i = 0; i < count; i++) yield `${i} ${'x'.repeat(90)}`;
      },
      [configure({ maxUnackedMessages: 8 })],
    );
    const peer = new Peer(server.port, { settings: { initialWindowSize: 1500 } });
    const { stream, messages, closed, trailer: _ } = peer.open();
    stream.on('data', () => {
      stalls += 1;
      stream.pause();
      setImmediate(() => stream.resume());
    });
    await closed;
    expect(messages().map(message => Number.parseInt(message as string, 10))).to.deep.equal([
      ...Array(count).keys(),
    ]);
    expect(stalls).to.be.above(100);
  });

  for (const [what, message, limit, code] of [
    ['cannot be serialised', { big: 1n }, undefined, status.INTERNAL],
    ['is too large', 'x'.repeat(500), 400, status.RESOURCE_EXHAUSTED],
  ] as const)
    it(`S13 releases a source that waits for the window after a message that ${what}`, async () => {
      const log: string[] = [];
      const seen = watcher();
      const server = await serve(
        on,
        async function* () {
          try {
            yield 1;
            yield message;
            yield 3;
            yield 4;
          } finally {
            log.push('finally');
          }
        },
        [narrow, seen.middleware],
        limit ? { 'grpc.max_send_message_length': limit } : {},
      );
      const reply = await server.call();
      expect({ code: reply.code, messages: reply.messages }).to.deep.equal({ code, messages: [1] });
      await until('finally ran', () => log.length > 0);
      await settled();
      expect(log).to.deep.equal(['finally']);
      expect(seen.outcomes.map(({ reason }) => reason)).to.deep.equal(['error']);
    });

  it('S14 hands on no more messages than the window has room for', async () => {
    for (const maxUnackedMessages of [1, 2, 7, 64]) {
      const seen = watcher();
      const server = await serve(on, endless([]), [configure({ maxUnackedMessages }), seen.middleware]);
      const peer = stalledPeer(server.port);
      const exchange = peer.open();
      await until('the window is full', () => seen.messages.length >= maxUnackedMessages);
      await settled(10);
      expect(seen.messages).to.have.length(maxUnackedMessages);
      exchange.reset();
      await until('the call is over', () => seen.outcomes.length > 0);
    }
  });

  it('S16 answers OK with headers and trailers when there is no message', async () => {
    const server = await serve(on, (_request, { header, trailer }) => {
      header.set('x-header', 'h');
      trailer.set('x-trailer', 't');
      return [];
    });
    const { code, messages, header, trailer } = await server.call();
    expect({ code, messages }).to.deep.equal({ code: 0, messages: [] });
    expect(header?.get('x-header')).to.deep.equal(['h']);
    expect(trailer.get('x-trailer')).to.deep.equal(['t']);
  });

  it('S17 delivers all messages before an error', async () => {
    const count = 1000;
    for (const kind of ['async', 'sync'] as const) {
      const fail = () => {
        throw new StatusError(status.DATA_LOSS, 'torn');
      };
      const server = await serve(
        on,
        kind === 'async'
          ? async function* () {
              for (let i = 0; i < count; i++) yield i;
              fail();
            }
          : function* () {
              for (let i = 0; i < count; i++) yield i;
              fail();
            },
      );
      const { code, messages } = await server.call();
      expect({ code, messages }).to.deep.equal({ code: 15, messages: [...Array(count).keys()] });
    }
  });

  it('S19 ends a call whose source returns early', async () => {
    const server = await serve(on, async function* ({ early }) {
      yield 1;
      if (early) return 'a value that nobody asked for';
      yield 2;
      return undefined;
    } as AnySource);
    const { code, messages } = await server.call({ early: true });
    expect({ code, messages }).to.deep.equal({ code: 0, messages: [1] });
  });
}
