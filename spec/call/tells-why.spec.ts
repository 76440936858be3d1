import { Readable } from 'node:stream';
import { expect } from 'chai';
import { configure } from '../../lib/index.ts';
import { type AnySource, type MountName, mountNames, serve, stopAll, until } from '../support/harness.ts';
import { endless, hearing, parked } from '../support/lifecycle.ts';
import { hasCall, settled, watcher } from '../support/observe.ts';
import { Peer } from '../support/peer.ts';

describe('the reason of an end', () => {
  afterEach(stopAll);

  for (const on of mountNames) describe(`on ${on}`, () => tellsWhy(on));
});

function tellsWhy(on: MountName): void {
  it('S23 reports no error when the client cancels', async () => {
    for (const name of ['signal', 'generator', 'Readable', 'timer'] as const) {
      const errors: unknown[] = [];
      const seen = watcher();
      const sources: Record<typeof name, AnySource> = {
        signal: parked([]),
        generator: endless([]),
        Readable: () => new Readable({ objectMode: true, read() {} }),
        timer: async function* (_request, { signal }) {
          yield 1;
          const { setTimeout } = await import('node:timers/promises');
          await setTimeout(60_000, undefined, { signal });
        },
      };
      const server = await serve(on, sources[name], [hearing(errors), seen.middleware]);
      const calling = server.open();
      await until('the call has started', () => hasCall(seen));
      if (name !== 'Readable') await until('a message passed', () => seen.messages.length > 0);
      calling.cancel();
      await until('the call is over', () => seen.outcomes.length > 0);
      await settled(10);
      expect(errors).to.deep.equal([]);
    }
  });

  it('S22 S7 ends a failed call the same when what hears of errors fails', async () => {
    for (const onError of [
      () => {
        throw new Error('the logger is broken');
      },
      () => Promise.reject(new Error('the logger is broken')) as never,
    ]) {
      const server = await serve(
        on,
        async function* () {
          yield 1;
          throw new Error('canary');
        },
        [configure({ onError })],
      );
      const { code, details, messages } = await server.call();
      expect({ code, details, messages }).to.deep.equal({
        code: 2,
        details: 'internal error',
        messages: [1],
      });
    }
  });

  it('S26 calls an expired call that its client reset a deadline, and no other', async () => {
    for (const [timeout, reason] of [
      ['20m', 'deadline'],
      ['10S', 'cancelled'],
    ] as const) {
      const seen = watcher();
      const server = await serve(on, parked([]), [seen.middleware]);
      const exchange = new Peer(server.port).open({}, { headers: { 'grpc-timeout': timeout } });
      await until('the call has started', () => hasCall(seen));
      exchange.reset();
      await until('the call is over', () => seen.outcomes.length > 0);
      expect(seen.outcomes.map(outcome => outcome.reason)).to.deep.equal([reason]);
    }
  });

  it('S26 gives the reason to the signal too', async () => {
    const seen = watcher();
    const server = await serve(on, parked([]), [seen.middleware]);
    const calling = server.open();
    calling.stream.once('data', () => seen.call.end({ code: 8, details: 'enough', reason: 'limit' }));
    const { code, details } = await calling.reply;
    expect({ code, details }).to.deep.equal({ code: 8, details: 'enough' });
    expect(seen.call.signal.reason).to.include({ code: 8, details: 'enough' });
  });
}
