import type { EventEmitter } from 'node:events';
import { Metadata, Server, type ServerWritableStream } from '@grpc/grpc-js';
import { Bench, Feed, NumberService } from '../services.ts';
import * as sources from '../sources.ts';
import { type Contender, listen } from './contender.ts';

type Call<Req, Res> = ServerWritableStream<Req, Res>;

const drain = (call: EventEmitter) => new Promise<void>(resolve => call.once('drain', resolve));

export const numbers = {
  async listNumbers(call: Call<{ max: number }, sources.Num>) {
    const { max } = call.request;
    for (let num = 1; num <= max; num++) {
      if (!call.write({ num })) await drain(call);
    }
    call.end();
  },
};

const bench = {
  async chunks(call: Call<{ count: number; bytes: number }, sources.Chunk>) {
    const { count, bytes } = call.request;
    for (let sent = 0; sent < count; sent++) {
      sources.tally.pulled += 1;
      if (!call.write({ payload: Buffer.alloc(bytes) })) await drain(call);
    }
    call.end();
  },

  async park(call: Call<{ early: boolean }, sources.Chunk>) {
    const source = sources.park(call.request, { sendHeader: () => call.sendMetadata(new Metadata()) });
    call.on('cancelled', () => source.return());
    for await (const message of source) {
      if (!call.write(message)) await drain(call);
    }
    call.end();
  },
};

const subscribers = new Set<Call<object, sources.Update>>();

const feed = {
  updates(call: Call<object, sources.Update>) {
    subscribers.add(call);
    call.on('cancelled', () => subscribers.delete(call));
    call.sendMetadata(new Metadata());
    sources.tally.arrived += 1;
  },
};

export async function serve(): Promise<Contender> {
  const server = new Server();
  server.addService(NumberService, numbers);
  server.addService(Bench, bench);
  server.addService(Feed, feed);
  return {
    port: await listen(server),
    publish(update) {
      for (const call of subscribers) call.write(update);
    },
  };
}
