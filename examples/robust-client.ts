import { credentials, Server } from '@grpc/grpc-js';
import { mount, serverOptions } from 'leat';
import { subscribe } from 'leat/client';
import type { Showpiece } from './example.ts';
import { streamservice } from './protos.ts';
import { bind } from './server.ts';
import { Updates } from './updates.ts';

/** A server that goes away and comes back: the client goes on after the last update it took. */
export const robustClient: Showpiece = {
  usage: '[--count N]',
  flags: { count: { type: 'string', default: '12' } },
  async show({ print, number }) {
    const count = number('count', 1);
    const updates = new Updates({ speed: 10, log: print });
    const published = updates.demo();
    const serve = async (port: number) => {
      const server = new Server(serverOptions());
      mount(server, streamservice.StreamService.service, { subscribeToUpdates: updates.handler });
      return { server, address: await bind(server, '127.0.0.1', port) };
    };
    let { server, address } = await serve(0);
    const client = new streamservice.StreamService(address, credentials.createInsecure());
    const stream = subscribe(
      (...call) => client.subscribeToUpdates(...call),
      { topics: ['orders', 'alerts'] },
      {
        token: ({ sequence }) => sequence,
        backoff: { baseMs: 50 },
        onAttemptEnd({ number }, retryMs) {
          if (retryMs !== undefined)
            print(`attempt ${number} ended, the next one in ${Math.round(retryMs)} ms`);
        },
      },
    );
    let taken = 0;
    for await (const { topic, sequence } of stream) {
      print(`${sequence}: ${topic}`);
      taken += 1;
      if (taken === 4) {
        server.forceShutdown();
        ({ server } = await serve(Number(address.split(':').at(-1))));
      }
      if (taken === count) break;
    }
    client.close();
    updates.close();
    await published;
    server.forceShutdown();
  },
};
