/** The same for browsers: `web.ts VARIANT` serves gRPC-Web by the HTTP servers of Node. */
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Middleware, mount, wrap } from 'leat';
import { errors } from 'leat/errors';
import { limits } from 'leat/limits';
import { metadata } from 'leat/metadata';
import { metrics } from 'leat/metrics';
import { tracing } from 'leat/tracing';
import { type Browser, web } from 'leat/web';
import { handlers, methods } from './handlers.ts';
import { definition, guard, heard, say } from './protocol.ts';

const every = (): Middleware[] => [
  tracing(),
  metrics(),
  metadata(),
  errors(),
  limits({ maxStreams: 1_000_000 }),
];

const mounts: Record<string, (browser: Browser) => void> = {
  web: browser => mount(browser, definition, methods as never),
  'web over wrap': browser => browser.addService(definition, wrap(handlers)),
  'web with every middleware': browser => mount(browser, definition, methods as never, ...every()),
};

/** As the runner's `HTTPVersion` has it. */
const HTTP_VERSION_2 = 2;

guard();
for await (const asked of heard('ServerCompatRequest')) {
  const browser = web({ maxRequestBytes: asked.messageReceiveLimit || 4 * 1024 * 1024 });
  const add = mounts[process.argv[2] ?? 'web'];
  if (add === undefined) throw new Error(`no variant is called \`${process.argv[2]}\``);
  add(browser);
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
