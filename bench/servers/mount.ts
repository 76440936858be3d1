import { Server } from '@grpc/grpc-js';
import { broadcast, counters, mount } from 'leat';
import { Bench, Feed, NumberService } from '../services.ts';
import * as sources from '../sources.ts';
import { type Contender, listen } from './contender.ts';
import { passing } from './passing.ts';

export async function serve(layers: number): Promise<Contender> {
  const { chunks, leave, numbers, park, updates } = sources;
  const middleware = passing(layers);
  const server = new Server();
  mount(server, NumberService, { listNumbers: numbers }, ...middleware);
  mount(server, Bench, { chunks, park, leave }, ...middleware);
  mount(server, Feed, { updates }, ...middleware);
  return {
    port: await listen(server),
    publish: update => sources.publish(broadcast(update)),
    orphans: () => counters().orphans,
  };
}
