import { createServer } from 'nice-grpc';
import { Kinds } from '../services.ts';
import type { Contender } from './contender.ts';
import { methods } from './kinds.ts';

export async function serve(): Promise<Contender> {
  const { get, upload, echo, count } = methods;
  const server = createServer();
  server.add(Kinds, {
    Get: async (request: never) => get(request),
    Upload: upload,
    Echo: echo,
    Count: count,
  });
  return { port: await server.listen('127.0.0.1:0') };
}
