import { Server } from '@grpc/grpc-js';
import { mount } from 'leat';
import { NumberService } from '../services.ts';
import { numbersSync } from '../sources.ts';
import { type Contender, listen } from './contender.ts';

export async function serve(): Promise<Contender> {
  const server = new Server();
  mount(server, NumberService, { listNumbers: numbersSync });
  return { port: await listen(server) };
}
