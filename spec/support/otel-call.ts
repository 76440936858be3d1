import { Metadata } from '@grpc/grpc-js';
import type { Call, Layer, Middleware, Outcome } from '../../lib/index.ts';
import { Tally } from '../../lib/stats.ts';
import { Values } from '../../lib/values.ts';

/** A call without a server, for what takes longer than a test may. */
export function fakeCall(stats: Tally = new Tally()): Call & { readonly stats: Tally } {
  const { signal } = new AbortController();
  return {
    path: '/spec.Service/Stream',
    kind: 'serverStream',
    request: {},
    metadata: new Metadata(),
    peer: '127.0.0.1:50000',
    host: 'localhost:50051',
    authContext: {},
    connectionInfo: {},
    values: new Values(),
    deadline: undefined,
    signal,
    header: new Metadata(),
    trailer: new Metadata(),
    stats,
    sendHeader() {},
    end() {},
  };
}

export function layerOf(middleware: Middleware, call: Call): Required<Pick<Layer<unknown>, 'start' | 'end'>> {
  const layer = middleware(call, { message() {} }) as Layer<unknown> | undefined;
  return { start: next => layer?.start?.(next), end: outcome => layer?.end?.(outcome) };
}

export const completed: Outcome = { code: 0, details: 'OK', reason: 'completed' };
