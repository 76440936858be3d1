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
