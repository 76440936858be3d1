import { credentials, Server } from '@grpc/grpc-js';
import { drain, mount, serverOptions } from 'leat';
import { batch } from 'leat/batch';
import { subscribe } from 'leat/client';
import { sleep } from 'leat/sources';
import type { Showpiece } from './example.ts';
import { tutorial } from './protos.ts';
import { bind } from './server.ts';

/** The tutorial's BufferedSender: a message every 10 ms, sent ten at a time or after 100 ms. */
export const bufferedSender: Showpiece = {
  usage: '[--size N]',
  flags: { size: { type: 'string', default: '10' } },
  async show({ print, number }) {
    const server = new Server(serverOptions());
    mount(
      server,
      tutorial.NumberService.service,
      {
        async *listNumbers({ max }, { signal }) {
          for (let num = 1; num <= max; num++) {
            yield { num };
            await sleep(10, signal);
          }
        },
      },
      batch({ maxItems: number('size', 1), maxDelayMs: 100 }),
    );
    const client = new tutorial.NumberService(
      await bind(server, '127.0.0.1', 0),
      credentials.createInsecure(),
    );
    const started = performance.now();
    const stream = subscribe(client, 'listNumbers', { max: 25 });
    for await (const { num } of stream) print(`${Math.round(performance.now() - started)} ms: ${num}`);
    client.close();
    await drain(server);
  },
};
