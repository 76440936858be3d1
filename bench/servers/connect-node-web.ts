import { serveBy } from './connect-node.ts';
import type { Contender } from './contender.ts';

export const serve = async (): Promise<Contender> => ({
  ...(await serveBy({ grpc: false, grpcWeb: true })),
  speaks: { by: 'grpc-web', http: 2 },
});
