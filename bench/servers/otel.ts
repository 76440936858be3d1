import { Server, status } from '@grpc/grpc-js';
import { type Method, type Middleware, produce } from 'leat';
import { errors } from 'leat/errors';
import { limits } from 'leat/limits';
import { metadata } from 'leat/metadata';
import { metrics } from 'leat/metrics';
import { tracing } from 'leat/tracing';
import { NumberService } from '../services.ts';
import { type Num, numbers } from '../sources.ts';
import { type Contender, listen } from './contender.ts';
import { startSdk } from './sdk.ts';

/** With so many of the middleware that a service in production has. */
export const serve = (count: number): Promise<Contender> => serveWith(numbers, count);

export async function serveWith(source: Method<{ max: number }, Num>, count: number): Promise<Contender> {
  startSdk();
  const server = new Server();
  server.addService(NumberService, { listNumbers: produce(source, ...production().slice(0, count)) });
  return { port: await listen(server) };
}

function production(): Middleware[] {
  return [
    tracing(),
    metrics(),
    metadata({ header: { 'x-served-by': 'eu-1' }, trailer: { 'x-count': ({ messages }) => messages } }),
    errors({ rules: [[RangeError, status.INVALID_ARGUMENT]] }),
    limits({ maxStreams: 1000, maxStreamAgeMs: 30 * 60_000, idleTimeoutMs: 60_000 }),
  ];
}
