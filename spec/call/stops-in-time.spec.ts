import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { configure } from '../../lib/index.ts';
import { deferred, type MountName, mountNames, serve, stopAll, until } from '../support/harness.ts';
import { endless, parked } from '../support/lifecycle.ts';
import { aborted, hasCall, settled, watcher } from '../support/observe.ts';
import { Peer, stalledPeer } from '../support/peer.ts';

describe('a source that is told to stop', () => {
  afterEach(stopAll);

  for (const on of mountNames) describe(`on ${on}`, () => stopsInTime(on));
});

function stopsInTime(on: MountName): void {
  it('S3 aborts the signal of a parked source first, then lets it clean up', async () => {
    const log: string[] = [];
    const seen = watcher();
    const server = await serve(
      on,
      async function* (_request, { signal }) {
        signal.addEventListener('abort', () => log.push('abort'));
        try {
          yield 1;
          await aborted(signal);
        } finally {
          log.push('finally');
        }
      },
      [seen.middleware],
    );
    const calling = server.open();
    calling.stream.once('data', () => calling.cancel());
    await until('finally ran', () => log.includes('finally'));
    await settled();
    expect(log).to.deep.equal(['abort', 'finally']);
    expect(seen.outcomes).to.have.length(1);
  });

  it('S4 S12 releases a source that waits for the window within one turn of the event loop', async () => {
    const log: string[] = [];
    const seen = watcher();
    const server = await serve(on, endless(log), [configure({ maxUnackedMessages: 4 }), seen.middleware]);
    const peer = stalledPeer(server.port);
    const exchange = peer.open();
    await until('the window is full', () => seen.messages.length === 4);
    await settled();
    expect(log).to.deep.equal([]);
    let afterOneTurn: string[] | undefined;
    seen.call.signal.addEventListener('abort', () => setImmediate(() => (afterOneTurn = [...log])));
    exchange.reset();
    await until('a turn has passed', () => afterOneTurn !== undefined);
    expect(afterOneTurn).to.deep.equal(['finally']);
    await settled();
    expect(log).to.deep.equal(['finally']);
  });

  it('S5 drops a value that comes after the cancel, and asks for no other', async () => {
    const gate = deferred();
    const seen = watcher();
    let pulled = 0;
    const server = await serve(
      on,
      async function* () {
        yield ++pulled;
        await gate.promise;
        for (;;) yield ++pulled;
      },
      [seen.middleware],
    );
    const calling = server.open();
    calling.stream.once('data', () => calling.cancel());
    await until('the call is over', () => seen.outcomes.length > 0);
    gate.resolve();
    await settled();
    expect(pulled).to.be.at.most(2);
    expect(seen.messages).to.deep.equal([1]);
  });

  it('S24 ends at the deadline, also when the client reads nothing', async () => {
    const log: string[] = [];
    const seen = watcher();
    const server = await serve(on, endless(log), [seen.middleware]);
    const peer = stalledPeer(server.port);
    const exchange = peer.open({}, { headers: { 'grpc-timeout': '50m' } });
    await until('the call has started', () => hasCall(seen));
    const { signal, deadline } = seen.call;
    const endedAt = new Promise<number>(resolve =>
      signal.addEventListener('abort', () => resolve(Date.now())),
    );
    const due = Number(deadline);
    expect(await endedAt).to.be.within(due - 2, due + 1000);
    expect(signal.reason).to.include({ name: 'StatusError', code: status.DEADLINE_EXCEEDED });
    await until('finally ran', () => log.length > 0);
    expect(log).to.deep.equal(['finally']);
    expect(seen.outcomes.map(({ code, reason }) => ({ code, reason }))).to.deep.equal([
      { code: status.DEADLINE_EXCEEDED, reason: 'deadline' },
    ]);
    exchange.reset();
  });

  it('S24 tells the client DEADLINE_EXCEEDED', async () => {
    const server = await serve(on, parked([]));
    const exchange = new Peer(server.port).open({}, { headers: { 'grpc-timeout': '30m' } });
    await exchange.closed;
    expect(exchange.messages()).to.deep.equal([1, 2]);
    expect(exchange.trailer).to.include({ 'grpc-status': '4' });
  });
}
