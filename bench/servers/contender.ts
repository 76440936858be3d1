import { type Server, ServerCredentials } from '@grpc/grpc-js';
import type { Update } from '../sources.ts';

/** gRPC-Web, or events with the request as a query; over HTTP/2, or HTTP/1.1. */
export interface Speech {
  by: 'grpc-web' | 'events';
  http: 1 | 2;
}

/** What a server under test offers to the bench. */
export interface Contender {
  port: number;
  /** How its clients ask; gRPC unless it says otherwise. */
  speaks?: Speech;
  publish?(update: Update): void;
  /** Sources that outlived their call. */
  orphans?(): number;
}

export function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(error);
      else resolve(port);
    });
  });
}
