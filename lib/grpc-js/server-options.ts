import type { ServerOptions } from '@grpc/grpc-js';
import { checkDuration, checkInteger, checkOptions, expected } from '../check.ts';
import { isMaker, isMiddleware } from '../made.ts';

/**
 * What a server of long streams needs of grpc-js, which by default asks no client whether it is still there, closes
 * no connection, and bounds nothing. No limit of ours can see what these see: a connection that died without a word,
 * or that Node keeps open after a protocol error, and one that has no streams.
 * @see https://github.com/grpc/grpc/blob/master/doc/keepalive.md
 */
const RECOMMENDED: ServerOptions = {
  // A connection is asked so often, in milliseconds (gRPC's default for servers is two hours, that of grpc-js never):
  // proxies and NATs begin to forget after a minute or more without a packet.
  'grpc.keepalive_time_ms': 60_000,
  // One that does not answer for so long, gRPC's own default, is closed, and its streams end as `disconnected`.
  'grpc.keepalive_timeout_ms': 20_000,
  // One without a stream for so long is closed (gRPC and grpc-js: never); clients connect again when they need to.
  'grpc.max_connection_idle_ms': 300_000,
  // HTTP/2 advises no fewer than 100 at once (RFC 9113, 6.5.2), Node has no bound. What goes beyond it waits in the
  // client, or is refused before it costs anything here: for a status that says why there is `maxStreamsPerPeer`.
  'grpc.max_concurrent_streams': 1000,
};

/** What grpc-js reads of the options of a server. */
const NAMES = [
  'interceptors',
  'grpc.keepalive_time_ms',
  'grpc.keepalive_timeout_ms',
  'grpc.max_connection_idle_ms',
  'grpc.max_connection_age_ms',
  'grpc.max_connection_age_grace_ms',
  'grpc.max_concurrent_streams',
  'grpc.max_send_message_length',
  'grpc.max_receive_message_length',
  'grpc.enable_channelz',
  'grpc.server_call_metric_recording',
  'grpc-node.max_session_memory',
  'grpc-node.tls_enable_trace',
];

/**
 * Options for a `grpc.Server` of long streams: it asks each minute whether its clients are there, and ends the streams
 * of those that do not answer for 20 seconds, closes connections that have had no stream for five minutes, and takes
 * at most 1,000 streams on each. What is given replaces these; `undefined` leaves them.
 *
 * @example
 * const server = new grpc.Server(serverOptions({ interceptors: [interceptor(tracing())] }));
 * @throws TypeError when grpc-js knows no such option of a server, or an option is out of its range, which grpc-js
 * would take: a timer for `Infinity` fires at once. One that is newer goes beside them: `{ ...serverOptions(),
 * 'grpc.newer': 1 }`.
 */
export function serverOptions(given: ServerOptions = {}): ServerOptions {
  checkOptions(given, NAMES);
  const own = Object.entries(given).filter(([, value]) => value !== undefined);
  for (const [name, value] of own) checkSetting(name, value);
  return { ...RECOMMENDED, ...Object.fromEntries(own) };
}

function checkSetting(name: string, value: unknown): void {
  if (name.endsWith('_ms')) checkDuration(name, value);
  // -1 is no bound.
  else if (name.endsWith('_length')) checkInteger(name, value, -1);
  else if (name !== 'interceptors') checkInteger(name, value, 0);
  else if (!Array.isArray(value) || !value.every(item => typeof item === 'function'))
    throw expected(name, 'a list of interceptors', value);
  else checkInterceptors(value);
}

/** grpc-js calls one with something else than a call, and the process ends where the call that it returned is started. */
function checkInterceptors(list: readonly { readonly name: string }[]): void {
  list.forEach((item, index) => {
    if (isMaker(item) || isMiddleware(item))
      throw new TypeError(
        `Expected \`interceptors[${index}]\` to be an interceptor, got the middleware \`${item.name}\`: give \`interceptor(${item.name}())\``,
      );
  });
}
