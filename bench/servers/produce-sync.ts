import { Server } from '@grpc/grpc-js';
import { produce } from 'leat';
import { NumberService } from '../services.ts';
import { numbersSync } from '../sources.ts';
import { type Contender, listen } from './contender.ts';

export async function serve(): Promise<Contender> {
  const server = new Server();
  server.addService(NumberService, { listNumbers: produce(numbersSync) });
  return { port: await listen(server) };
}
