import type { handleServerStreamingCall } from '@grpc/grpc-js';
import type { Method, Middleware } from '../types.ts';

/** What a handler of ours was made of, so that another mount can take it apart again. */
export interface Made<Req = any, Res = any> {
  readonly source?: Method<Req, Res>;
  readonly wrapped?: handleServerStreamingCall<Req, Res>;
  readonly middleware: readonly Middleware[];
}

const made: unique symbol = Symbol.for('leat.handler') as never;

/** A handler that `produce` or `wrap` made; `mount` takes it where it takes a method. */
export interface Mounted<Req, Res> {
  readonly [made]: Made<Req, Res>;
}

export type Handler<Req, Res> = handleServerStreamingCall<Req, Res> & Mounted<Req, Res>;

export function mark<Req, Res>(
  handler: handleServerStreamingCall<Req, Res>,
  parts: Made<Req, Res>,
): Handler<Req, Res> {
  return Object.assign(handler, { [made]: parts });
}

export function partsOf(handler: unknown): Made | undefined {
  return (handler as Partial<Mounted<unknown, unknown>>)[made];
}
