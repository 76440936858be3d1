import { readFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { createSecureServer } from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import type { Middleware, Stats } from 'leat';
import type { Browser, WebRequest, WebResponse } from 'leat/web';

/** A key and a certificate, in PEM. */
export interface Tls {
  readonly key: Buffer;
  readonly cert: Buffer;
}

/** What the page is made of. */
const FILES: Readonly<Record<string, readonly [name: string, type: string]>> = {
  '/': ['index.html', 'text/html'],
  '/viewer.js': ['viewer.js', 'text/javascript'],
  '/events.js': ['events.js', 'text/javascript'],
  '/lines.js': ['lines.js', 'text/javascript'],
  '/style.css': ['style.css', 'text/css'],
};
/** It takes these files and nothing else, whatever stands in a log. */
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:";

/** Serves the files of a page, and what `browser` has, on one port: by HTTP/2 where there is a certificate. */
export class Pages {
  /** How far the stream of each page is that is open. */
  private readonly streams = new Map<string, Stats>();
  private readonly server: Server & { closeAllConnections?(): void };

  constructor(
    private readonly browser: Browser,
    tls?: Tls,
  ) {
    const answer = (request: WebRequest, response: WebResponse) => this.answer(request, response);
    this.server = tls ? createSecureServer({ ...tls, allowHTTP1: true }, answer) : createServer(answer);
  }

  /** Counts what is sent to a page, so that the page can ask how far its stream is. */
  readonly known: Middleware = call => {
    const page = call.metadata.get('x-page')[0]?.toString();
    if (page === undefined) return undefined;
    const { stats } = call;
    this.streams.set(page, stats);
    return {
      end: () => {
        if (this.streams.get(page) === stats) this.streams.delete(page);
      },
    };
  };

  /** Resolves with the address when it listens; says in one line why it does not. */
  listen(host: string, port: number): Promise<string> {
    const { server } = this;
    return new Promise((resolve, reject) => {
      server.once('error', ({ message }) =>
        reject(new Error(`cannot listen on ${host}:${port}: ${message.replace(/^listen /, '')}`)),
      );
      server.listen(port, host, () => resolve(`${host}:${(server.address() as AddressInfo).port}`));
    });
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections?.();
  }

  private answer(request: WebRequest, response: WebResponse): void {
    this.browser.handler(request, response, () => {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://page');
      const file = Object.hasOwn(FILES, pathname) ? FILES[pathname] : undefined;
      // Both kinds have what is used here.
      const own = response as ServerResponse;
      if (request.method !== 'GET') own.writeHead(405).end();
      else if (pathname === '/producer') this.answerProducer(searchParams.get('page') ?? '', own);
      else if (file) void answerFile(...file, own);
      else own.writeHead(404).end('there is no such page');
    });
  }

  /** How many lines the source has yielded for a page, and whether it waits for the page to take them. */
  private answerProducer(page: string, response: ServerResponse): void {
    const stats = this.streams.get(page);
    response.setHeader('content-type', 'application/json');
    response.setHeader('cache-control', 'no-store');
    response.end(JSON.stringify({ sent: stats?.messages ?? 0, waits: stats?.waiting === 'flow_control' }));
  }
}

async function answerFile(name: string, type: string, response: ServerResponse): Promise<void> {
  try {
    const file = await readFile(new URL(name, import.meta.url));
    response.setHeader('content-type', `${type}; charset=utf-8`);
    response.setHeader('content-security-policy', POLICY);
    response.setHeader('x-content-type-options', 'nosniff');
    response.setHeader('cache-control', 'no-cache');
    response.end(file);
  } catch (error) {
    console.error((error as Error).message);
    response.writeHead(500).end();
  }
}
