import type * as grpc from '@grpc/grpc-js';
import { type Middleware, mount } from '../../lib/index.ts';
import type { WebOptions } from '../../lib/web/index.ts';
import {
  type AnySource,
  type Calling,
  collect,
  definition,
  type OpenOptions,
  path,
  quiet,
  type Running,
} from './harness.ts';
import { startWeb, WebCall, type WebName } from './web-client.ts';

const running = new Set<{ close(): Promise<void> }>();

/** Serves one source to browsers, with a client of gRPC-Web in the shape that one of gRPC has. */
export async function serveWeb(
  on: WebName,
  source: AnySource,
  middleware: Middleware[] = [],
  options: WebOptions = {},
): Promise<Pick<Running, 'port' | 'open' | 'call'> & Awaited<ReturnType<typeof startWeb>>> {
  const served = await startWeb(
    on,
    browser => mount(browser, definition, { stream: source }, quiet, ...middleware),
    options,
  );
  running.add(served);
  const open = (request: unknown = {}, { metadata, paused, deadline }: OpenOptions = {}): Calling => {
    const headers = Object.fromEntries(
      Object.entries(metadata?.getMap() ?? {}).map(([key, value]) => [key, String(value)]),
    );
    if (deadline !== undefined)
      headers['grpc-timeout'] = `${Math.max(0, Math.ceil(Number(deadline) - Date.now()))}m`;
    const { requestSerialize, responseDeserialize } = definition.stream;
    const call = new WebCall(on, served.port, path, headers, requestSerialize(request), responseDeserialize);
    const stream = call as unknown as grpc.ClientReadableStream<any>;
    return { stream, reply: collect(stream, paused), cancel: () => call.cancel() };
  };
  return { ...served, open, call: (request, opts) => open(request, opts).reply };
}

/** For `afterEach`. */
export async function stopWeb(): Promise<void> {
  const all = [...running];
  running.clear();
  await Promise.all(all.map(one => one.close()));
}
