import { expect } from 'chai';
import { stopAll, turn, until } from '../support/harness.ts';
import { serveKind, service } from '../support/kinds.ts';
import { stalledPeer } from '../support/peer.ts';

describe('the status of one answer', () => {
  afterEach(stopAll);

  for (const on of ['produce', 'wrap', 'mount'] as const) {
    /** What the layers heard of a call whose client takes nothing, some turns after its answer was given. */
    const heardOf = async (size: number) => {
      const ended: string[] = [];
      let given = false;
      const server = await serveKind(
        on,
        'unary',
        () => {
          given = true;
          return { text: 'x'.repeat(size) };
        },
        [() => ({ end: ({ reason }) => void ended.push(reason) })],
      );
      const client = stalledPeer(server.port);
      const call = client.open({}, { path: service.unary.path });
      await until('it has answered', () => given);
      for (let turns = 0; turns < 20; turns++) await turn();
      const before = [...ended];
      client.session.settings({ initialWindowSize: 1_000_000 });
      await call.closed;
      expect(call.trailer?.['grpc-status']).to.equal('0');
      expect(call.messages()).to.have.length(1);
      expect(ended).to.deep.equal(['completed']);
      client.session.destroy();
      return before;
    };

    it(`goes right behind it, without waiting for the client, when it is small, on ${on}`, async () => {
      expect(await heardOf(1000)).to.deep.equal(['completed']);
    });

    it(`goes when HTTP/2 has taken it, when it is large, on ${on}`, async () => {
      expect(await heardOf(20_000)).to.deep.equal([]);
    });
  }
});
