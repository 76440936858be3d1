import { Server } from '@grpc/grpc-js';
import { broadcast, mount } from 'leat';
import { type Channel, channel } from 'leat/sources';
import { Feed } from '../services.ts';
import { type Call, tally, type Update } from '../sources.ts';
import { type Contender, listen } from './contender.ts';

const channels = new Set<Channel<Update>>();

/** A channel for each subscriber. */
function updates(_: object, call: Call): Channel<Update> {
  const own = channel<Update>({ signal: call.signal });
  channels.add(own);
  call.signal.addEventListener('abort', () => channels.delete(own));
  call.sendHeader();
  tally.arrived += 1;
  return own;
}

export async function serve(): Promise<Contender> {
  const server = new Server();
  mount(server, Feed, { updates });
  return {
    port: await listen(server),
    publish(update) {
      broadcast(update);
      for (const own of channels) void own.push(update);
    },
  };
}
