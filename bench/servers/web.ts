import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { mount } from 'leat';
import { web } from 'leat/web';
import { NumberService } from '../services.ts';
import { numbers } from '../sources.ts';
import type { Contender, Speech } from './contender.ts';

export async function serveBy(speaks: Speech): Promise<Contender> {
  const browser = web();
  mount(browser, NumberService, { listNumbers: numbers });
  const server = speaks.http === 2 ? http2.createServer(browser.handler) : http.createServer(browser.handler);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, speaks };
}

export const serve = () => serveBy({ by: 'grpc-web', http: 2 });
