import { Readable } from 'node:stream';
import { expect } from 'chai';
import { configure, interceptor, type Middleware, type Outcome } from '../../lib/index.ts';
import { limits } from '../../middleware/limits.ts';
import { type AnySource, type MountName, mountNames, serve, stopAll, until } from '../support/harness.ts';
import { endless, hearing, parked } from '../support/lifecycle.ts';
import { hasCall, settled, watcher } from '../support/observe.ts';
import { Peer } from '../support/peer.ts';

describe('the reason of an end', () => {
  afterEach(stopAll);

  for (const on of mountNames) describe(`on ${on}`, () => tellsWhy(on));

  const failed = new Error('a layer failed');
  /** How an interceptor around a mount ends its call. */
  const around: Record<string, { middleware: Middleware; ends: Partial<Outcome> }> = {
    'by a limit': {
      middleware: limits({ maxStreamAgeMs: 30 }),
      ends: { code: 14, details: 'the stream has reached its maximum age', reason: 'limit' },
    },
    'by a layer that fails': {
      middleware: () => ({
        message() {
          throw failed;
        },
      }),
      ends: { code: 2, details: 'internal error', reason: 'error', cause: failed },
    },
    'well, as it has enough': {
      middleware: (call, next) => ({
        message(message) {
          next.message(message);
          call.end({ code: 0, details: 'OK', reason: 'completed' });
        },
      }),
      ends: { code: 0, details: 'OK', reason: 'completed' },
    },
  };
  for (const on of ['produce', 'wrap', 'mount'] as const)
    for (const [how, { middleware, ends }] of Object.entries(around))
      it(`is the same for ${on} within an interceptor, which ended the call ${how}`, async () => {
        const seen = watcher();
        const errors: unknown[] = [];
        const server = await serve(on, parked([]), [hearing(errors), seen.middleware], {
          interceptors: [interceptor(hearing(errors), middleware)],
        });
        const { code, details } = await server.call();
        expect({ code, details }).to.deep.equal({ code: ends.code, details: ends.details });
        await until('the mount heard of it', () => seen.outcomes.length > 0);
        expect(seen.outcomes).to.have.length(1);
        expect(seen.outcomes[0]).to.include(ends);
        expect(errors).to.deep.equal(ends.cause ? [failed] : []);
      });
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
