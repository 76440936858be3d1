import { Server, ServerCredentials } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import type { Service, Setting } from './example.ts';
import { packageDefinition } from './protos.ts';

export interface Listening {
  readonly server: Server;
  /** The first address. */
  readonly address: string;
  readonly others: string[];
  /** Closes what the services opened. */
  close(): Promise<void>;
}

/** Serves services on one server, with health and reflection; a port of 0 is any. */
export async function listen(
  services: readonly Service[],
  host: string,
  ports: number[],
  setting: Setting,
): Promise<Listening> {
  const server = new Server();
  const closers = services.map(service => service.serve(server, setting));
  const names = services.map(({ service }) => [service, 'SERVING'] as const);
  new HealthImplementation(Object.fromEntries([['', 'SERVING'], ...names])).addToServer(server);
  new ReflectionService(packageDefinition).addToServer(server);
  const [address = '', ...others] = await Promise.all(ports.map(port => bind(server, host, port)));
  const close = async () => {
    for (const closer of closers) await closer?.();
  };
  return { server, address, others, close };
}

/** Resolves with the address when a server listens. */
export function bind(server: Server, host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(`${host}:${bound}`),
    );
  });
}
