import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { backoff, subscribe } from '../../lib/client/index.ts';
import { stopAll, until } from '../support/harness.ts';
import { FaultProxy } from './fault-proxy.ts';
import { histogram } from './herd.ts';
import { opener, send, serve } from './service.ts';

describe('many clients of a server that restarts', () => {
  afterEach(stopAll);

  it('R10 the default waits keep 1,000 of them under 10 % in any 100 ms, however long it is away', () => {
    const wait = backoff();
    for (const awayMs of [0, 300, 1000, 5000, 20_000]) {
      const opens: number[] = [];
      for (let client = 0; client < 1000; client++) {
        let at = 0;
        for (let retry = 1; at <= awayMs; retry++) {
          at += wait(retry);
          opens.push(at);
        }
      }
      expect(Math.max(...histogram(opens)), `${awayMs} ms`).to.be.at.most(100);
    }
  });

  it('R10 all come back, and none begins its waits anew before it was healthy', async () => {
    const { port } = await serve(call => send(call, [1]));
    const proxy = await new FaultProxy(port).up();
    const clients = Array.from(
      { length: 40 },
      () =>
        new grpc.Client(`127.0.0.1:${proxy.port}`, grpc.credentials.createInsecure(), {
          'grpc.use_local_subchannel_pool': 1,
          'grpc.initial_reconnect_backoff_ms': 10,
          'grpc.max_reconnect_backoff_ms': 10,
        }),
    );
    const retries: number[][] = clients.map(() => []);
    let received = 0;
    const streams = clients.map((client, index) =>
      subscribe(
        opener(client),
        {},
        {
          backoff: { baseMs: 20 },
          healthyMs: 60_000,
          onAttempt: ({ retry }) => void retries[index]?.push(retry),
        },
      ),
    );
    const reading = streams.map(async stream => {
      for await (const _ of stream) received += 1;
    });
    await until('all connected', () => received === 40, 8000);
    await proxy.down();
    await new Promise(resolve => setTimeout(resolve, 20));
    await proxy.up();
    await until('all back', () => received === 80, 8000);
    for (const counts of retries) expect(counts).to.deep.equal(counts.map((_, index) => index));
    await Promise.all(streams.map(stream => stream.return?.()));
    await Promise.all(reading);
    for (const client of clients) client.close();
    await proxy.down();
  });
});
