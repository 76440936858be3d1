import { Server } from '@grpc/grpc-js';
import { drain, interceptor } from 'leat';
import { Trust } from '../service.ts';
import { type Given, GRACE_MS, handlersOf, listen, optionsOf, type Served } from './column.ts';
import { layersOf } from './layers.ts';

export async function serve(given: Given): Promise<Served> {
  const interceptors = [interceptor(...layersOf(given.row))];
  const server = new Server({ ...optionsOf(given.row), interceptors });
  server.addService(Trust, handlersOf(given));
  return { port: await listen(server), shutDown: () => drain(server, { graceMs: GRACE_MS }) };
}
