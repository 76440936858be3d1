import { Server } from '@grpc/grpc-js';
import { mount } from 'leat';
import { topic } from 'leat/sources';
import { Feed } from '../services.ts';
import { type Call, tally, type Update } from '../sources.ts';
import { type Contender, listen } from './contender.ts';

const all = topic<Update>();

function updates(_: object, call: Call) {
  const subscription = all.subscribe({ signal: call.signal });
  call.sendHeader();
  tally.arrived += 1;
  return subscription;
}

export async function serve(): Promise<Contender> {
  const server = new Server();
  mount(server, Feed, { updates });
  return {
    port: await listen(server),
    publish: update => void all.publish(update),
  };
}
