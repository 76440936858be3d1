import { setDefaultHighWaterMark } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { credentials, Metadata } from '@grpc/grpc-js';
import { mount } from 'leat';
import { subscribe } from 'leat/client';
import { sleep } from 'leat/sources';
import type { Example } from './example.ts';
import { StreamServer } from './protos.ts';
import { retrying } from './retrying.ts';

/** A prefix and a counter; with `slow` in the request's metadata, fifteen values, one a second. */
export const values: Example = {
  service: 'StreamServer',
  port: 8000,

  serve(server, { speed, log }) {
    mount(server, StreamServer.service, {
      async *listValue({ data }, { metadata, signal }) {
        const slow = metadata.get('slow').length > 0;
        try {
          for (let n = 0; n < (slow ? 15 : 5); n++) {
            log(`value ${n}`);
            yield { streamValue: `${data}${n}` };
            if (slow) await sleep(1000 / speed, signal);
          }
        } finally {
          log('no more values');
        }
      },
    });
  },

  usage: '[--data TEXT] [--slow]',
  flags: { data: { type: 'string', default: 'stream server grpc ' }, slow: { type: 'boolean' } },
  async show({ address, print, text, on }) {
    const client = new StreamServer(address, credentials.createInsecure());
    const slowly = new Metadata();
    slowly.set('slow', '1');
    const list = (data: string, metadata = new Metadata()) =>
      subscribe(client, 'listValue', { data }, { ...retrying(print), metadata });

    for await (const { streamValue } of list(text('data'), on('slow') ? slowly : undefined))
      print(streamValue);

    print('Stop after the first value: leaving the loop cancels the call, and the server stops.');
    for await (const { streamValue } of list(text('data'), slowly)) {
      print(streamValue);
      break;
    }
    await wait(50);

    print('Pause after the first value: flow control holds the server, until the client goes on.');
    setDefaultHighWaterMark(true, 1); // or grpc-js reads 16 messages ahead of us
    for await (const { streamValue } of list('x'.repeat(1_000_000))) {
      const n = streamValue.slice(-1);
      print(`read value ${n}`);
      if (n !== '0') continue;
      await wait(500);
      print('continue');
    }
    client.close();
  },
};
