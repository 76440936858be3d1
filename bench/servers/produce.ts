import { Server } from '@grpc/grpc-js';
import { counters, produce } from 'leat';
import { Bench, NumberService } from '../services.ts';
import * as sources from '../sources.ts';
import { type Contender, listen } from './contender.ts';
import { passing } from './passing.ts';

export async function serve(layers: number): Promise<Contender> {
  const middleware = passing(layers);
  const server = new Server();
  server.addService(NumberService, { listNumbers: produce(sources.numbers, ...middleware) });
  server.addService(Bench, {
    chunks: produce(sources.chunks, ...middleware),
    park: produce(sources.park, ...middleware),
    leave: produce(sources.leave, ...middleware),
  });
  return { port: await listen(server), orphans: () => counters().orphans };
}
