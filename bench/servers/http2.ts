import { createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { MethodDefinition } from '@grpc/grpc-js';
import { Feed } from '../services.ts';
import { tally, type Update } from '../sources.ts';
import type { Contender } from './contender.ts';

/** The floor: an update is framed once, and written to each stream of HTTP/2 with nobody in between. */
export async function serve(): Promise<Contender> {
  const streams = new Set<ServerHttp2Stream>();
  const server = createServer();
  server.on('stream', stream => {
    stream.on('error', () => {});
    stream.on('close', () => streams.delete(stream));
    stream.resume();
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    streams.add(stream);
    tally.arrived += 1;
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    publish(update) {
      const bytes = frame(update);
      for (const stream of streams) stream.write(bytes);
    },
  };
}

function frame(update: Update): Buffer {
  const { Updates } = Feed as Record<'Updates', MethodDefinition<object, Update>>;
  const message = Updates.responseSerialize(update);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
