import { type Server, ServerCredentials, type ServerOptions } from '@grpc/grpc-js';
import { type Handler, LARGEST, type Row, type Source } from '../row.ts';
import { tallied } from '../tally.ts';
import { careful } from './careful.ts';

/** A server under test. */
export interface Served {
  readonly port: number;
  /** What is done on SIGTERM: streams may take half a second more. */
  shutDown(): unknown;
}

/** What a column has to serve. */
export interface Given {
  readonly row: Row;
  readonly source: Source;
  readonly next: Source;
}

export const GRACE_MS = 500;

export const given = (row: Row): Given => ({
  row,
  source: tallied(row.source ?? (() => {})),
  async *next() {
    for (let number = 1; number <= 3; number++) yield { number };
  },
});

/** The two methods as handlers of grpc-js. */
export function handlersOf({ row, source, next }: Given): { hostile: Handler; next: Handler } {
  return { hostile: row.handler ?? careful(source), next: careful(next) };
}

export function optionsOf({ keepalive }: Row): ServerOptions {
  return {
    'grpc.max_send_message_length': LARGEST,
    ...(keepalive && { 'grpc.keepalive_time_ms': 500, 'grpc.keepalive_timeout_ms': 500 }),
  };
}

/** A logger that has lost its disk. */
export function log(): never {
  throw new Error('ENOSPC: no space left on device');
}

export function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    );
  });
}

/** As people end a server of grpc-js: wait, and then wait no more. */
export function shutDownByHand(server: Pick<Server, 'tryShutdown' | 'forceShutdown'>): void {
  const force = setTimeout(() => server.forceShutdown(), GRACE_MS);
  server.tryShutdown(() => clearTimeout(force));
}
