import { interceptor, type Middleware, wrap } from '../../lib/index.ts';
import { definition, type Handler, quiet, type Running, start } from './harness.ts';

/** The mounts under which an existing handler goes on writing to its call. */
export const legacyMounts = ['wrap', 'interceptor'] as const;
export type LegacyMount = (typeof legacyMounts)[number];

/** Serves a handler as its author wrote it, on one of these mounts, or on none. */
export function serveHandler(
  on: LegacyMount | 'none',
  handler: Handler,
  middleware: Middleware[] = [],
): Promise<Running> {
  const list = [quiet, ...middleware];
  if (on === 'interceptor')
    return start(server => server.addService(definition, { stream: handler }), {
      interceptors: [interceptor(...list)],
    });
  const stream = on === 'wrap' ? wrap(handler, ...list) : handler;
  return start(server => server.addService(definition, { stream }));
}
