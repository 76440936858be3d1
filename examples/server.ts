import { Server, ServerCredentials } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { serverOptions } from 'leat';
import type { Service, Setting } from './example.ts';
import { contracts } from './protos.ts';
import { addReflection } from './reflection.ts';

export interface Listening {
  readonly server: Server;
  /** The first address. */
  readonly address: string;
  readonly others: string[];
  /** Tells those who watch the health of the services that they are going away. */
  leaving(): void;
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
  const server = new Server(serverOptions());
  const health = new HealthImplementation();
  let left = false;
  const tell = (name: string, can: boolean) =>
    health.setStatus(name, can && !left ? 'SERVING' : 'NOT_SERVING');
  const names = ['', ...services.map(({ service }) => service)];
  for (const name of names) tell(name, true);
  const closers = await Promise.all(
    services.map(service =>
      service.serve(server, { ...setting, serving: can => tell(service.service, can) }),
    ),
  );
  health.addToServer(server);
  addReflection(server, contracts);
  const [address = '', ...others] = await Promise.all(ports.map(port => bind(server, host, port)));
  const leaving = () => {
    left = true;
    for (const name of names) tell(name, false);
  };
  const close = async () => {
    for (const closer of closers) await closer?.();
  };
  return { server, address, others, leaving, close };
}

/** Resolves with the address when a server listens; says in one line why it does not. */
export function bind(
  server: Server,
  host: string,
  port: number,
  credentials: ServerCredentials = ServerCredentials.createInsecure(),
): Promise<string> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, credentials, (error, bound) =>
      error
        ? reject(new Error(`cannot listen on ${host}:${port}: ${reasonOf(error)}`))
        : resolve(`${host}:${bound}`),
    );
  });
}

/** What grpc-js has in brackets behind its own words. */
function reasonOf({ message }: Error): string {
  return /\[(?:listen )?(.*)\]/s.exec(message)?.[1] ?? message;
}
