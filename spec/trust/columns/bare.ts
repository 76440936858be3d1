import { Server } from '@grpc/grpc-js';
import { Trust } from '../service.ts';
import { type Given, handlersOf, listen, optionsOf, type Served, shutDownByHand } from './column.ts';

export async function serve(given: Given): Promise<Served> {
  const server = new Server(optionsOf(given.row));
  server.addService(Trust, handlersOf(given));
  return { port: await listen(server), shutDown: () => shutDownByHand(server) };
}
