import { type Server, ServerCredentials } from '@grpc/grpc-js';
import type { Update } from '../sources.ts';

/** What a server under test offers to the bench. */
export interface Contender {
  port: number;
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
