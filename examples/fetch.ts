import { credentials } from '@grpc/grpc-js';
import { mount } from 'leat';
import { subscribe } from 'leat/client';
import { merge, sleep } from 'leat/sources';
import type { Example } from './example.ts';
import { protobuf } from './protos.ts';
import { retrying } from './retrying.ts';

/** Five producers at once, sent as they are done: `merge` stops the ones that still wait when the client leaves. */
export const fetch: Example = {
  service: 'protobuf.StreamService',
  port: 50005,

  serve(server, { speed, log }) {
    async function* produced(id: number, k: number, signal: AbortSignal) {
      await sleep((k * 1000) / speed, signal);
      yield { result: `Request #${k} For Id:${id}` };
      log(`finishing request number : ${k}`);
    }
    mount(server, protobuf.StreamService.service, {
      fetchResponse({ id }, { signal }) {
        log(`fetch response for id : ${id}`);
        return merge(...[0, 1, 2, 3, 4].map(k => produced(id, k, signal)), { signal });
      },
    });
  },

  usage: '[--id N]',
  flags: { id: { type: 'string', default: '1' } },
  async show({ address, print, number }) {
    const client = new protobuf.StreamService(address, credentials.createInsecure());
    const stream = subscribe(
      (...call) => client.fetchResponse(...call),
      { id: number('id') },
      retrying(print),
    );
    for await (const { result } of stream) print(`Resp received: ${result}`);
    print('finished');
    client.close();
  },
};
