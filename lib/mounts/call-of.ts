import { expected } from '../check.ts';
import { callAbove } from '../grpc-js/below.ts';
import { linkOf } from '../grpc-js/ports.ts';
import type { Call } from '../types.ts';
import { facadeOf } from './facade.ts';

/**
 * The `Call` behind the stream that a handler was given: its signal, which also tells of a drain, its peer, its
 * stats. For handlers that `wrap` or `interceptor` covers.
 *
 * @example
 * wrap(async stream => {
 *   const { signal } = callOf(stream);
 *   for await (const row of rows({ signal })) stream.write(row);
 *   stream.end();
 * });
 * @throws TypeError when neither of them covers the handler.
 */
export function callOf(stream: object): Call {
  const call: Call | undefined = (facadeOf(stream)?.call ?? callAbove(linkOf(stream)))?.view;
  if (call === undefined)
    throw expected('stream', 'what a handler under `wrap` or `interceptor` was called with', stream);
  return call;
}
