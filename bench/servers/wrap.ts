import { Server } from '@grpc/grpc-js';
import { wrap } from 'leat';
import { NumberService } from '../services.ts';
import { type Contender, listen } from './contender.ts';
import { numbers } from './hand-written.ts';

export async function serve(): Promise<Contender> {
  const server = new Server();
  server.addService(NumberService, wrap(numbers));
  return { port: await listen(server) };
}
