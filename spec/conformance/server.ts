/** A server for the runner to test: `server.ts VARIANT` says who serves its methods. */
import type { Http2Server, OutgoingHttpHeaders } from 'node:http2';
import { Server, ServerCredentials, type ServerInterceptor, type ServerOptions } from '@grpc/grpc-js';
import { interceptor, type Middleware, mount, produce, wrap } from 'leat';
import { batch } from 'leat/batch';
import { errors } from 'leat/errors';
import { heartbeat } from 'leat/heartbeat';
import { limits } from 'leat/limits';
import { logging } from 'leat/logging';
import { metadata } from 'leat/metadata';
import { metrics } from 'leat/metrics';
import { tracing } from 'leat/tracing';
import { handlers, methods } from './handlers.ts';
import { definition, guard, heard, say } from './protocol.ts';

const note = () => {};
const logger = { debug: note, info: note, warn: note, error: note };
const hour = 3_600_000;

/** Every middleware, so that each leaves the streams as they are. */
const every = (): Middleware[] => [
  tracing(),
  metrics(),
  logging({ logger }),
  heartbeat({ everyMs: hour, make: () => ({}) }),
  metadata(),
  errors(),
  limits({ maxStreams: 1_000_000, idleTimeoutMs: hour, maxStallMs: hour }),
  batch({ maxItems: 3, maxDelayMs: 5 }),
];

const mounts: Record<string, (server: Server, ...middleware: Middleware[]) => void> = {
  bare: server => server.addService(definition, handlers),
  mount: (server, ...middleware) => mount(server, definition, methods as never, ...middleware),
  produce(server) {
    const produced = Object.entries(methods).map(([name, method]) => [name, produce(method as never)]);
    server.addService(definition, Object.fromEntries(produced));
  },
  wrap: server => server.addService(definition, wrap(handlers)),
};

function serve(variant: string, options: ServerOptions): Server {
  const [, below, over, all] =
    /^(?:(interceptor)(?: over )?)?(.*?)( with every middleware)?$/.exec(variant) ?? [];
  const list = all ? every() : [];
  const interceptors: ServerInterceptor[] = below ? [interceptor(...list)] : [];
  const server = new Server({ ...options, interceptors });
  const add = mounts[over || 'bare'];
  if (add === undefined) throw new Error(`no variant is called \`${variant}\``);
  add(server, ...(below ? [] : list));
  return server;
}

/**
 * grpc-js says `grpc-message: OK` with each OK, and pads base64, which clients may not mind, but the runner does, in
 * nearly every case: mended between grpc-js and HTTP/2, so that what else a case has to say is heard.
 */
function mend(server: Server): void {
  const { http2Servers } = server as unknown as { http2Servers: Map<Http2Server, unknown> };
  for (const http2Server of http2Servers.keys())
    http2Server.prependListener('stream', stream => {
      const { respond, sendTrailers } = stream;
      stream.respond = (headers, options) => respond.call(stream, mended(headers), options);
      stream.sendTrailers = headers => sendTrailers.call(stream, mended(headers));
    });
}

function mended(headers: OutgoingHttpHeaders | readonly string[] = {}): OutgoingHttpHeaders {
  const kept = Object.entries(headers).filter(
    ([name]) => name !== 'grpc-message' || String((headers as OutgoingHttpHeaders)['grpc-status']) !== '0',
  );
  const unpadded = (value: unknown) => [value].flat().map(one => String(one).replace(/=+$/, ''));
  return Object.fromEntries(
    kept.map(([name, value]) => [name, name.endsWith('-bin') ? unpadded(value) : value]),
  );
}

guard();
for await (const asked of heard('ServerCompatRequest')) {
  const server = serve(process.argv[2] ?? 'mount', {
    'grpc.max_receive_message_length': asked.messageReceiveLimit || 4 * 1024 * 1024,
  });
  const ca = asked.clientTlsCert?.length > 0 ? asked.clientTlsCert : null;
  const { serverCreds: pair } = asked;
  const credentials = asked.useTls
    ? ServerCredentials.createSsl(ca, [{ private_key: pair.key, cert_chain: pair.cert }], ca !== null)
    : ServerCredentials.createInsecure();
  server.bindAsync('127.0.0.1:0', credentials, (error, port) => {
    if (error) throw error;
    mend(server);
    say('ServerCompatResponse', { host: '127.0.0.1', port, ...(asked.useTls && { pemCert: pair.cert }) });
  });
  break;
}
