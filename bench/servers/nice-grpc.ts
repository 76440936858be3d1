import { createServer } from 'nice-grpc';
import { Bench, Feed, NumberService } from '../services.ts';
import * as sources from '../sources.ts';
import type { Contender } from './contender.ts';

export async function serve(): Promise<Contender> {
  const server = createServer();
  server.add(NumberService, { ListNumbers: sources.numbers });
  server.add(Bench, { Chunks: sources.chunks, Park: sources.park, Leave: sources.leave });
  server.add(Feed, { Updates: sources.updates });
  return { port: await server.listen('127.0.0.1:0'), publish: sources.publish };
}
