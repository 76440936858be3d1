import { status } from '@grpc/grpc-js';
import type { Unread } from './body.ts';
import { ENCODED, readBody } from './body.ts';
import { writeHead } from './head.ts';
import { linger } from './linger.ts';
import type { WebSettings } from './options.ts';
import { WebOrigin } from './origin.ts';
import type { Carried } from './port.ts';
import { timeoutOf } from './request-metadata.ts';
import { headerOf, isHttp2, type WebRequest, type WebResponse } from './transport.ts';

const NOSNIFF = { 'x-content-type-options': 'nosniff' };

/** Some failures a cache would keep unasked: one that is there tomorrow might be mended today. */
const FAILURE = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' };

const nothing = (): Record<string, string> => ({});

/** One request and its response, on the way to a method. */
export class Visit implements Carried {
  /** What a page of another origin may see; nothing for others. */
  headers: Readonly<Record<string, string>> = {};
  exposes: (names: readonly string[]) => Record<string, string> = nothing;
  /** The server takes no more calls. */
  closing = false;
  /** How long its client waits, in milliseconds; NaN when that cannot be read. */
  readonly timeoutMs: number;
  private readonly came: number = Date.now();

  constructor(
    readonly browser: object,
    readonly request: WebRequest,
    readonly response: WebResponse,
    readonly settings: WebSettings,
  ) {
    this.timeoutMs = timeoutOf(headerOf(request, 'grpc-timeout'));
    // What becomes of a request is told by its end; without a listener, an error would end the process.
    request.on('error', () => {});
    response.on('error', () => {});
  }

  get connectionInfo(): WebOrigin['connectionInfo'] {
    return this.origin.connectionInfo;
  }

  expose(names: readonly string[]): Record<string, string> {
    return this.exposes(names);
  }

  private known: WebOrigin | undefined;
  private path = '';

  /** What is known of the call; read before the connection is gone. */
  get origin(): WebOrigin {
    this.known ??= new WebOrigin(this.request, this.path, Math.ceil(this.came + this.timeoutMs));
    return this.known;
  }

  /** Reads the request of a call to this path. */
  read(
    path: string,
    maxBytes: number,
    read: (body: unknown) => void,
    unread: (why: Exclude<Unread, 'encoded'>) => void,
  ): void {
    this.path = path;
    void this.origin;
    const withinMs = Math.min(this.settings.requestTimeoutMs, this.timeoutMs);
    const refused = (why: Unread) => {
      this.sever();
      if (why === 'encoded') this.fail(415, ENCODED, { 'accept-encoding': 'identity' });
      else unread(why);
    };
    readBody(this.request, { maxBytes, withinMs }, body => this.safely(() => read(body)), refused);
  }

  /** An answer without a body. */
  empty(code: number, headers: Record<string, string> = {}): void {
    this.answer(code, headers, undefined);
  }

  /** An answer of HTTP, in the words that events have for a status. */
  fail(code: number, message: string, headers: Record<string, string> = {}): void {
    const said = CODES[code] ?? status.UNKNOWN;
    const text = JSON.stringify({ code: said, status: status[said], message });
    this.answer(code, { ...headers, ...FAILURE }, text);
  }

  /** Nothing of an error is for a client. */
  crashed(error: unknown): void {
    console.error('leat: a request of a browser:', error);
    if (!this.response.headersSent) this.fail(500, 'internal error');
    else this.response.destroy?.();
  }

  /** Runs what answers; what it throws does not end the process. */
  safely(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.crashed(error);
    }
  }

  private answer(code: number, headers: Record<string, string>, body: string | undefined): void {
    const { response } = this;
    if (response.writableEnded || response.destroyed) return;
    if (!this.request.readableEnded) this.sever();
    writeHead(response, code, headers, NOSNIFF, this.headers, this.exposes([]));
    // As one of two types, its overloads are told apart by nobody.
    (response as { end(chunk?: string): unknown }).end(body);
  }

  /** The rest of a request is not read: its connection, or its stream, closes after the answer. */
  sever(): void {
    const { request, response } = this;
    if (isHttp2(response)) {
      const { stream } = response;
      response.once('finish', () => stream.close());
    } else if (!response.headersSent && Number(request.headers['content-length']) !== 0) {
      if (request.headers['transfer-encoding'] || request.headers['content-length']) {
        response.setHeader('connection', 'close');
        linger(request.socket);
      }
    }
    request.resume();
  }
}

/** The status that an answer of HTTP stands for. */
const CODES: Readonly<Record<number, status>> = {
  400: status.INVALID_ARGUMENT,
  403: status.PERMISSION_DENIED,
  404: status.UNIMPLEMENTED,
  405: status.UNIMPLEMENTED,
  408: status.DEADLINE_EXCEEDED,
  413: status.RESOURCE_EXHAUSTED,
  415: status.UNIMPLEMENTED,
  500: status.INTERNAL,
};
