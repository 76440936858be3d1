import { credentials } from '@grpc/grpc-js';
import { mount } from 'leat';
import { subscribe } from 'leat/client';
import type { Example } from './example.ts';
import { tutorial } from './protos.ts';
import { retrying } from './retrying.ts';

/** Numbers from 1 to `max`: the smallest stream there is. */
export const numbers: Example = {
  service: 'tutorial.NumberService',
  port: 50051,

  /** A plain generator is the fastest source: nothing of it waits, and its client's deadline holds all the same. */
  serve(server) {
    mount(server, tutorial.NumberService.service, {
      *listNumbers({ max }) {
        for (let num = 1; num <= max; num++) yield { num };
      },
    });
  },

  usage: '[--max N] [--timeout SECONDS]',
  flags: { max: { type: 'string', default: '10' }, timeout: { type: 'string', default: '1' } },
  async show({ address, print, number }) {
    const client = new tutorial.NumberService(address, credentials.createInsecure());
    const stream = subscribe(
      (...call) => client.listNumbers(...call),
      { max: number('max') },
      { ...retrying(print), deadline: Date.now() + number('timeout') * 1000 },
    );
    for await (const { num } of stream) print(`Number: ${num}`);
    client.close();
  },
};
