/**
 * Serves methods to browsers, which do not speak gRPC: by gRPC-Web, and as Server-Sent Events.
 * @module
 */
import { Browser } from './browser.ts';
import { settingsOf, type WebOptions } from './options.ts';

export type { JsonCodec } from '../json.ts';
export type { Browser } from './browser.ts';
export type { CorsOptions } from './cors.ts';
export type { WebOptions } from './options.ts';
export type { Next, WebRequest, WebResponse } from './transport.ts';

/**
 * Makes a place for `mount` that browsers call, with `handler` for any HTTP server of Node's: of `http` and `http2`, in
 * Express, Connect and Fastify. What is mounted answers gRPC-Web (binary and text) and Server-Sent Events (GET with
 * the request as its query, and POST with a request in JSON); methods where clients stream answer `UNIMPLEMENTED`.
 *
 * @example
 * const browser = web({ cors: { origins: ['https://app.example.com'] } });
 * mount([server, browser], LogService.service, methods, errors());
 * http.createServer(browser.handler).listen(8080);
 * @throws TypeError when an option is out of its range.
 */
export function web(options: WebOptions = {}): Browser {
  return new Browser(settingsOf(options));
}
