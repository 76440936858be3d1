import { type CallContext, createServer, ServerError, type ServerMiddleware, Status } from 'nice-grpc';
import type { Source } from '../row.ts';
import { Trust } from '../service.ts';
import { type Given, GRACE_MS, log, optionsOf, type Served } from './column.ts';

export async function serve(given: Given): Promise<Served> {
  const ending = new AbortController();
  let server = createServer(optionsOf(given.row)).use(terminator(ending.signal));
  if (given.row.logs) server = server.use(logging);
  server.add(Trust, { Hostile: method(given.source), Next: method(given.next) } as never);
  const port = await server.listen('127.0.0.1:0');
  return {
    port,
    shutDown() {
      const force = setTimeout(() => server.forceShutdown(), 2 * GRACE_MS);
      setTimeout(() => ending.abort(), GRACE_MS).unref();
      void server.shutdown().then(() => clearTimeout(force));
    },
  };
}

function method(source: Source): (request: unknown, context: CallContext) => unknown {
  return (_request, context) =>
    source({
      signal: context.signal,
      header: (key, value) => void context.header.set(key, value),
      trailer: (key, value) => void context.trailer.set(key, value),
      sendHeader: () => context.sendHeader(),
      status: (code, details) => new ServerError(code, details),
    });
}

/** What `nice-grpc-server-middleware-terminator` does for all calls. */
const terminator = (ending: AbortSignal): ServerMiddleware =>
  async function* terminate(call, context) {
    const signal = AbortSignal.any([context.signal, ending]);
    try {
      return yield* call.next(call.request, { ...context, signal });
    } catch (error) {
      if (ending.aborted) throw new ServerError(Status.UNAVAILABLE, 'the server is shutting down');
      throw error;
    }
  };

const logging: ServerMiddleware = async function* logs(call, context) {
  try {
    return yield* call.next(call.request, context);
  } finally {
    log();
  }
};
