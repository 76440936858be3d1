import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { toBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import type { Page } from 'playwright-core';
import { tutorial } from '../../examples/protos.ts';
import type { Browser } from '../../lib/web/index.ts';
import { descriptorsOf } from './protoc.ts';

const folder = fileURLToPath(new URL('../browser', import.meta.url));
const isInstalled = existsSync(`${folder}/node_modules/@connectrpc/connect-web`);

/** For the title of specs that need clients for pages: the reason if they are skipped. */
export const needsClients: string = isInstalled
  ? ''
  : ' (skipped: npm run clients has not installed spec/browser)';

/** Bundles the clients; where they are promised (LEAT_REQUIRE_ENGINES), missing ones are a failure. */
export function bundleOf(hook: Mocha.Context): string {
  if (!isInstalled) {
    if (process.env.LEAT_REQUIRE_ENGINES === '1') throw new Error('npm run clients was not run');
    return hook.skip();
  }
  execFileSync('npm', ['run', '-s', 'build'], { cwd: folder, stdio: 'inherit' });
  return readFileSync(`${folder}/node_modules/.page/page.js`, 'utf8');
}

/** What a client in a page sees of a call. */
export interface Seen {
  readonly messages: any[];
  readonly header: Record<string, string>;
  readonly trailer: Record<string, string>;
  readonly code: number;
  readonly message: string;
  readonly details: { type: string; value: number[] }[];
  readonly ids: string[];
  readonly opened: number;
}

export const clientNames = [
  'connect-web',
  'grpc-web, binary',
  'grpc-web, text',
  'EventSource',
  'fetch',
] as const;
export type ClientName = (typeof clientNames)[number];

const FUNCTIONS: Readonly<Record<ClientName, string>> = {
  'connect-web': 'clients.connect(call)',
  'grpc-web, binary': "clients.grpcWeb('binary', call)",
  'grpc-web, text': "clients.grpcWeb('text', call)",
  EventSource: 'clients.eventSource(call)',
  fetch: 'clients.streamed(call)',
};

export interface PageCall {
  readonly baseUrl: string;
  readonly path: string;
  readonly request?: object;
  /** The same for an EventSource. */
  readonly query?: string;
  readonly headers?: Record<string, string>;
  readonly timeoutMs?: number;
  /** After how many messages it leaves. */
  readonly take?: number;
  readonly credentials?: 'include';
}

/** All contracts of the examples, as a FileDescriptorSet in base64. */
const files = Buffer.from(
  toBinary(FileDescriptorSetSchema, descriptorsOf(tutorial.NumberService.service.ListNumbers)),
).toString('base64');

/** Makes one call in a page. */
export function callIn(page: Page, client: ClientName, call: PageCall): Promise<Seen> {
  const given = JSON.stringify({ request: {}, ...call, files });
  return page.evaluate<Seen>(`{ const call = ${given}; ${FUNCTIONS[client]}; }`);
}

/** A server of pages that have the clients, and of what is mounted on `browser`. */
export interface PageServer {
  /** By the name of the machine that is given, each of which is an origin of its own. */
  url(host?: string): string;
  close(): Promise<void>;
}

export async function servePages(bundle: string, browser?: Browser): Promise<PageServer> {
  const answer: http.RequestListener = (request, response) => {
    const own = () => {
      const script = request.url === '/page.js';
      response.setHeader('content-type', `${script ? 'text/javascript' : 'text/html'}; charset=utf-8`);
      response.end(script ? bundle : '<!doctype html><title>clients</title><script src="/page.js"></script>');
    };
    if (browser) browser.handler(request, response, own);
    else own();
  };
  const server = http.createServer(answer);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: (host = '127.0.0.1') => `http://${host}:${port}`,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
