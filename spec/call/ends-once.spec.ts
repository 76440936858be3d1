import { getEventListeners } from 'node:events';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import type { Call, Middleware } from '../../lib/index.ts';
import { type MountName, mountNames, serve, stopAll, until } from '../support/harness.ts';
import { endless, parked } from '../support/lifecycle.ts';
import { expectLegal, hasCall, type Seen, settled, watcher } from '../support/observe.ts';
import { Peer } from '../support/peer.ts';

describe('the end of a call', () => {
  afterEach(stopAll);

  for (const on of mountNames) describe(`on ${on}`, () => endsOnce(on));
});

function endsOnce(on: MountName): void {
  for (const [what, act] of Object.entries<(call: Call, next: Seen['next']) => void>({
    'a second end': call => call.end({ code: 5, details: 'late', reason: 'error' }),
    'a message after the end': (_call, next) => next.message('late'),
    'both, many times': (call, next) => {
      for (let i = 0; i < 10; i++) {
        next.message('late');
        call.end({ code: 5, details: 'late', reason: 'error' });
      }
    },
  })) {
    it(`S15 absorbs ${what}: the client reads the first outcome`, async () => {
      for (const first of ['completed', 'limit'] as const) {
        const seen = watcher();
        const eager: Middleware = (call, next) => ({
          message(message) {
            next.message(message);
            if (first === 'limit') call.end({ code: 8, details: 'enough', reason: 'limit' });
            if (first === 'limit') act(call, next);
          },
          end() {
            // What it sends now goes out before the status; what follows the end does not go out.
            queueMicrotask(() => act(call, next));
          },
        });
        const server = await serve(on, () => [1], [seen.middleware, eager]);
        const exchange = new Peer(server.port).open();
        await exchange.closed;
        act(seen.call, seen.next);
        await settled();
        expect(exchange.trailer).to.include({ 'grpc-status': first === 'limit' ? '8' : '0' });
        expect(seen.outcomes.map(({ reason }) => reason)).to.deep.equal([first]);
      }
    });
  }

  it('S15 ends as a layer says, that ends the call with OK before its source', async () => {
    const log: string[] = [];
    const seen = watcher();
    const first: Middleware = (call, next) => ({
      message(message) {
        next.message(message);
        call.end({ code: 0, details: 'OK', reason: 'completed' });
      },
    });
    const server = await serve(on, endless(log), [seen.middleware, first]);
    const { code, messages } = await server.call();
    expect({ code, messages }).to.deep.equal({ code: 0, messages: [0] });
    await until('finally ran', () => log.length > 0);
    expect(log).to.deep.equal(['finally']);
    expect(seen.outcomes).to.have.length(1);
  });

  it('S15 sends the status of a layer that calls it a cancellation', async () => {
    const seen = watcher();
    const server = await serve(on, parked([]), [seen.middleware]);
    const calling = server.open();
    calling.stream.once('data', () =>
      seen.call.end({ code: status.CANCELLED, details: 'by another call', reason: 'cancelled' }),
    );
    const { code, details } = await calling.reply;
    expect({ code, details }).to.deep.equal({ code: status.CANCELLED, details: 'by another call' });
  });

  for (const [what, outcome] of Object.entries<unknown>({
    nothing: undefined,
    'an empty object': {},
    'details that are no text': { code: 5, details: 7, reason: 'error' },
    'a code that is none': { code: 99, details: 'odd', reason: 'limit' },
    'a reason that is none': { code: 5, details: 'odd', reason: 'whim' },
    'metadata that is none': { code: 5, details: 'odd', reason: 'error', metadata: 7 },
  })) {
    it(`S15 ends with a legal status when a layer changes the outcome to ${what}`, async () => {
      const seen = watcher();
      const careless: Middleware = () => ({ end: () => outcome as never });
      const server = await serve(on, () => [1], [seen.middleware, careless]);
      const exchange = new Peer(server.port).open();
      await exchange.closed;
      expectLegal(Number(exchange.trailer?.['grpc-status'] ?? Number.NaN));
      expect(seen.outcomes).to.have.length(1);
    });
  }

  it('S25 does not abort the signal of a call that finished', async () => {
    const seen = watcher();
    const server = await serve(on, () => [1, 2], [seen.middleware]);
    const exchange = new Peer(server.port).open();
    await until('the call has started', () => hasCall(seen));
    const { signal } = seen.call;
    await exchange.closed;
    await settled(10);
    expect(signal.aborted).to.equal(false);
    expect(getEventListeners(signal, 'abort')).to.deep.equal([]);
  });
}
