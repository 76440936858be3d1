import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';

/** A request of Node's own servers, or of a framework on them. */
export type WebRequest = IncomingMessage | Http2ServerRequest;

/** A response, likewise. */
export type WebResponse = ServerResponse | Http2ServerResponse;

/** Hands a request on to whoever is next in a framework. */
export type Next = (error?: unknown) => void;

/** The response of HTTP/2, which has a stream of its own. */
export function isHttp2(response: WebResponse): response is Http2ServerResponse {
  return 'stream' in response;
}

/** Whether the client is gone, so that nobody hears of it any more. */
export function isGone(response: WebResponse): boolean {
  return isHttp2(response) ? (response.stream?.destroyed ?? true) : response.destroyed;
}

/** One value of a header; of several, those that Node joined. */
export function headerOf(request: WebRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

/** A target that has its scheme and host with it, as clients send to a proxy; a server takes it as well. */
const ABSOLUTE = /^https?:\/\/([^/?#]*)/i;

/** The path that is asked for, and the query. */
export function targetOf(request: WebRequest): [path: string, search: string] {
  const url = (request.url ?? '').replace(ABSOLUTE, '');
  const at = url.indexOf('?');
  return at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)];
}

/** The host that is asked, as the client knows it; the header does not count beside a target that names one. */
export function authorityOf(request: WebRequest): string | undefined {
  const [, named] = ABSOLUTE.exec(request.url ?? '') ?? [];
  return named ?? headerOf(request, ':authority') ?? headerOf(request, 'host');
}

/** Whether events are among what the client takes. */
export function wantsEvents(request: WebRequest): boolean {
  return (headerOf(request, 'accept') ?? '').split(',').some(range => {
    const [type = '', ...parameters] = range.split(';').map(text => text.trim().toLowerCase());
    return type === 'text/event-stream' && !parameters.some(text => /^q\s*=\s*0(?:\.0*)?$/.test(text));
  });
}
