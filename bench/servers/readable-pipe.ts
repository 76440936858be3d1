import { Readable, type Writable } from 'node:stream';
import { Server, type ServerWritableStream } from '@grpc/grpc-js';
import { Bench, NumberService } from '../services.ts';
import * as sources from '../sources.ts';
import { type Contender, listen } from './contender.ts';

const piped =
  <Req, Res>(source: (request: Req) => AsyncIterable<Res>) =>
  (call: ServerWritableStream<Req, Res>) => {
    Readable.from(source(call.request)).pipe(call as Writable);
  };

export async function serve(): Promise<Contender> {
  const server = new Server();
  server.addService(NumberService, { listNumbers: piped(sources.numbers) });
  server.addService(Bench, { chunks: piped(sources.chunks) });
  return { port: await listen(server) };
}
