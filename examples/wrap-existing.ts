import { createHash } from 'node:crypto';
import { Client, credentials, type handleServerStreamingCall, Server } from '@grpc/grpc-js';
import { drain, serverOptions, wrap } from 'leat';
import type { NumberRequest__Output } from '../proto/generated/tutorial/NumberRequest.ts';
import type { NumberResponse } from '../proto/generated/tutorial/NumberResponse.ts';
import type { Showpiece } from './example.ts';
import { tutorial } from './protos.ts';
import { bind } from './server.ts';

const { service } = tutorial.NumberService;

/** A handler as people have it today: callbacks, `write`, `drain`. Nothing of it is changed. */
const listNumbers: handleServerStreamingCall<NumberRequest__Output, NumberResponse> = call => {
  let num = 0;
  const more = (): void => {
    while (num < call.request.max && !call.cancelled)
      if (!call.write({ num: ++num })) return void call.once('drain', more);
    call.end();
  };
  more();
};

/** The same handler before and after `wrap`: the same bytes, sooner, and with middleware if you like. */
export const wrapExisting: Showpiece = {
  usage: '[--max N]',
  flags: { max: { type: 'string', default: '200000' } },
  async show({ print, number }) {
    const max = number('max', 1);
    print(`before: ${await measure(listNumbers, max)}`);
    print(`after:  ${await measure(wrap(listNumbers), max)}`);
  },
};

async function measure(handler: typeof listNumbers, max: number): Promise<string> {
  const server = new Server(serverOptions());
  server.addService(service, { listNumbers: handler });
  const client = new Client(await bind(server, '127.0.0.1', 0), credentials.createInsecure());
  const hash = createHash('sha256');
  let received = 0;
  const started = performance.now();
  const { path, requestSerialize } = service.ListNumbers;
  for await (const bytes of client.makeServerStreamRequest(path, requestSerialize, raw => raw, { max })) {
    hash.update(bytes as Buffer);
    received += 1;
  }
  const seconds = (performance.now() - started) / 1000;
  client.close();
  await drain(server);
  return `${received} messages in ${seconds.toFixed(2)} s, sha256 ${hash.digest('hex').slice(0, 16)}`;
}
