import { Server } from '@grpc/grpc-js';
import { drain, wrap } from 'leat';
import { Trust } from '../service.ts';
import { type Given, GRACE_MS, handlersOf, listen, optionsOf, type Served } from './column.ts';
import { layersOf } from './layers.ts';

export async function serve(given: Given): Promise<Served> {
  const server = new Server(optionsOf(given.row));
  server.addService(Trust, wrap(handlersOf(given), ...layersOf(given.row)));
  return { port: await listen(server), shutDown: () => drain(server, { graceMs: GRACE_MS }) };
}
