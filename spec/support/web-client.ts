import type { EventEmitter } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import * as grpc from '@grpc/grpc-js';
import { type Browser, type WebOptions, web } from '../../lib/web/index.ts';
import { frame, framesOf } from './frames.ts';

export const webNames = ['web over HTTP/1.1', 'web over HTTP/2'] as const;
export type WebName = (typeof webNames)[number];

export interface WebServer {
  readonly browser: Browser;
  readonly port: number;
  readonly base: string;
  readonly server: EventEmitter;
  close(): Promise<void>;
}

/** Serves browsers by one of the HTTP servers of Node. */
export async function startWeb(
  on: WebName,
  setUp: (browser: Browser) => unknown,
  options: WebOptions = {},
  at = 0,
): Promise<WebServer> {
  const browser = web(options);
  setUp(browser);
  const server =
    on === 'web over HTTP/2' ? http2.createServer(browser.handler) : http.createServer(browser.handler);
  const connections = new Set<{ destroy(): void }>();
  const keep = (connection: { destroy(): void } & EventEmitter) => {
    connections.add(connection);
    connection.once('close', () => connections.delete(connection));
  };
  (server as EventEmitter).on('connection', keep);
  await new Promise<void>(resolve => server.listen(at, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    browser,
    port,
    base: `http://127.0.0.1:${port}`,
    server,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        for (const connection of connections) connection.destroy();
      }),
  };
}

/** A response as it comes, whatever it came over. */
export interface RawResponse {
  readonly request: { destroy(): unknown };
  readonly body: Promise<Readable & { readonly status: number; readonly headers: Record<string, any> }>;
  /** The client leaves, as closing a tab does. */
  leave(): void;
  /** Its connection breaks. */
  disconnect(): void;
}

export function rawPost(
  on: WebName,
  port: number,
  path: string,
  headers: Record<string, string>,
  body?: Buffer | string,
  method = 'POST',
): RawResponse {
  if (on === 'web over HTTP/2') {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on('error', () => {});
    const stream = session.request({ ':method': method, ':path': path, ...headers });
    stream.on('error', () => {});
    let left = false;
    // A browser keeps its connection when it leaves a stream.
    stream.on('close', () => left || session.close());
    stream.end(body);
    return {
      request: stream,
      body: new Promise((resolve, reject) => {
        stream.once('response', head =>
          resolve(Object.assign(stream as never, { status: head[':status'], headers: head })),
        );
        stream.once('close', () => reject(new Error('no response')));
      }),
      leave() {
        left = true;
        stream.close(http2.constants.NGHTTP2_CANCEL);
      },
      disconnect: () => session.destroy(),
    };
  }
  const request = http.request({ port, host: '127.0.0.1', path, method, headers, agent: false });
  request.on('error', () => {});
  request.end(body);
  return {
    request,
    body: new Promise((resolve, reject) => {
      request.once('response', response => {
        response.on('error', () => {});
        resolve(Object.assign(response as never, { status: response.statusCode }));
      });
      request.once('close', () => reject(new Error('no response')));
    }),
    leave: () => void request.destroy(),
    disconnect: () => void request.destroy(),
  };
}

/** A call by gRPC-Web, in the shape that a client of grpc-js has. */
export class WebCall extends Readable {
  private readonly raw: RawResponse;
  private source: Readable | undefined;
  private left: Buffer = Buffer.alloc(0);
  private over = false;

  constructor(
    on: WebName,
    port: number,
    path: string,
    headers: Record<string, string>,
    message: Buffer,
    private readonly deserialize: (bytes: Buffer) => unknown,
  ) {
    super({ objectMode: true, highWaterMark: 1 });
    const all = { 'content-type': 'application/grpc-web+proto', ...headers };
    this.raw = rawPost(on, port, path, all, frame(message));
    void this.raw.body.then(
      body => {
        this.source = body;
        const metadata = new grpc.Metadata();
        for (const [key, value] of Object.entries(body.headers))
          if (!key.startsWith(':')) metadata.set(key, String(value));
        this.emit('metadata', metadata);
        body.on('data', (chunk: Buffer) => this.took(chunk));
        body.on('close', () => this.cut());
      },
      () => this.cut(),
    );
  }

  cancel(): void {
    this.raw.leave();
    this.end(grpc.status.CANCELLED, 'Cancelled on client');
  }

  disconnect(): void {
    this.raw.disconnect();
  }

  override _read(): void {
    this.source?.resume();
  }

  private cut(): void {
    this.end(grpc.status.UNAVAILABLE, 'the response ended without a status');
  }

  private took(chunk: Buffer): void {
    const { frames, left } = framesOf(Buffer.concat([this.left, chunk]));
    this.left = left;
    for (const { flags, bytes } of frames) {
      if (flags === 0x80) this.trailers(bytes.toString('latin1'));
      else if (!this.push(this.deserialize(bytes))) this.source?.pause();
    }
  }

  private trailers(text: string): void {
    const metadata = new grpc.Metadata();
    for (const line of text.split('\r\n').filter(Boolean)) {
      const [, key = '', value = ''] = /^([^:]+): (.*)$/.exec(line) ?? [];
      metadata.set(key, [...metadata.get(key), value].join(', '));
    }
    const [code] = metadata.get('grpc-status');
    const details = decodeURIComponent(String(metadata.get('grpc-message')[0] ?? ''));
    metadata.remove('grpc-status');
    metadata.remove('grpc-message');
    this.end(Number(code), details, metadata);
  }

  private end(code: grpc.status, details: string, metadata: grpc.Metadata = new grpc.Metadata()): void {
    if (this.over) return;
    this.over = true;
    this.push(null);
    const tell = () => this.emit('status', { code, details, metadata });
    if (code === grpc.status.CANCELLED || this.readableLength === 0) process.nextTick(tell);
    else this.once('end', tell);
  }
}
