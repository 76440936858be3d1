import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { numbers } from '../sources.ts';
import type { Contender } from './contender.ts';

/** As people write it who honour `drain` and know of leaving, over HTTP/1.1. */
export async function serve(): Promise<Contender> {
  const server = createServer(async (request, response) => {
    const max = Number(new URL(request.url ?? '', 'http://localhost').searchParams.get('max'));
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    response.write('retry: 2000\n\n');
    for await (const message of numbers({ max })) {
      if (response.destroyed) break;
      if (!response.write(`data: ${JSON.stringify(message)}\n\n`)) await once(response, 'drain');
    }
    response.end('event: status\ndata: {"code":0}\n\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, speaks: { by: 'events', http: 1 } };
}
