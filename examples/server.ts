import { Server, ServerCredentials } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import type { Example, Setting } from './example.ts';
import { packageDefinition } from './protos.ts';

export interface Listening {
  readonly server: Server;
  /** The first address. */
  readonly address: string;
  readonly others: string[];
}

/** Serves examples on one server, with health and reflection; a port of 0 is any. */
export async function listen(
  services: Example[],
  host: string,
  ports: number[],
  setting: Setting,
): Promise<Listening> {
  const server = new Server();
  for (const example of services) example.serve(server, setting);
  const names = services.map(({ service }) => [service, 'SERVING'] as const);
  new HealthImplementation(Object.fromEntries([['', 'SERVING'], ...names])).addToServer(server);
  new ReflectionService(packageDefinition).addToServer(server);
  const [address = '', ...others] = await Promise.all(ports.map(port => bind(server, host, port)));
  return { server, address, others };
}

function bind(server: Server, host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(`${host}:${bound}`),
    );
  });
}
