/** The same for browsers: `web.ts VARIANT` serves gRPC-Web by the HTTP servers of Node. */
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Middleware, mount, wrap } from 'leat';
import { type Browser, web } from 'leat/web';
import { handlers, methods } from './handlers.ts';
import { definition, guard, heard, say } from './protocol.ts';

/** Loaded when they are wanted: the runner waits some seconds for a server, no longer. */
async function every(): Promise<Middleware[]> {
  const { errors } = await import('leat/errors');
  const { limits } = await import('leat/limits');
  const { metadata } = await import('leat/metadata');
  const { metrics } = await import('leat/metrics');
  const { tracing } = await import('leat/tracing');
  return [tracing(), metrics(), metadata(), errors(), limits({ maxStreams: 1_000_000 })];
}

const mounts: Record<string, (browser: Browser) => void | Promise<void>> = {
  web: browser => mount(browser, definition, methods as never),
  'web over wrap': browser => browser.addService(definition, wrap(handlers)),
  'web with every middleware': async browser =>
    mount(browser, definition, methods as never, ...(await every())),
};

/** As the runner's `HTTPVersion` has it. */
const HTTP_VERSION_2 = 2;

guard();
for await (const asked of heard('ServerCompatRequest')) {
  const browser = web({ maxRequestBytes: asked.messageReceiveLimit || 4 * 1024 * 1024 });
  const add = mounts[process.argv[2] ?? 'web'];
  if (add === undefined) throw new Error(`no variant is called \`${process.argv[2]}\``);
  await add(browser);
  const { serverCreds: pair, useTls } = asked;
  const ca = asked.clientTlsCert?.length > 0 ? asked.clientTlsCert : undefined;
  const tls = useTls ? { key: pair.key, cert: pair.cert, ...(ca && { ca, requestCert: true }) } : {};
  const [plain, secure] =
    asked.httpVersion === HTTP_VERSION_2
      ? [http2.createServer, http2.createSecureServer]
      : [http.createServer, https.createServer];
  const create = (useTls ? secure : plain) as (options: object, handler: Browser['handler']) => http.Server;
  const server = create(tls, browser.handler).listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo;
    say('ServerCompatResponse', { host: '127.0.0.1', port, ...(useTls && { pemCert: pair.cert }) });
  });
  break;
}
