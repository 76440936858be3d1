import * as grpc from '@grpc/grpc-js';
import type { Service } from '../../examples/example.ts';
import { live } from '../../lib/call/live.ts';
import { type Running, soon, start, stopAll, until } from './harness.ts';

/** What a server does, seen from where its services are added. */
export interface Seen {
  /** Messages that its calls have encoded, to be sent. */
  sent: number;
  /** Whether it has heard that a client left. */
  cancelled: boolean;
}

/** One of the examples, as it is, with a plain grpc-js client of it. */
export interface Served<Client> {
  readonly client: Client;
  readonly running: Running;
  readonly seen: Seen;
  /** What the service logged. */
  readonly logged: string[];
}

type ClientClass<Client> = new (
  address: string,
  credentials: grpc.ChannelCredentials,
  options?: grpc.ChannelOptions,
) => Client;

export interface ServeOptions {
  /** By how much the tutorial's delays are divided. */
  readonly speed?: number;
  readonly options?: grpc.ChannelOptions;
}

/** Takes so little ahead of who reads that every server soon feels it. */
export const narrow: grpc.ChannelOptions = {
  'grpc-node.flow_control_window': 64,
  'grpc.use_local_subchannel_pool': 1,
};

const clients = new Set<grpc.Client>();
const closers = new Set<() => unknown>();

/** Serves an example with its own implementation and its own middleware. */
export async function serveExample<Client extends grpc.Client>(
  example: Service,
  Client: ClientClass<Client>,
  { speed = 1, options = {} }: ServeOptions = {},
): Promise<Served<Client>> {
  const logged: string[] = [];
  const seen: Seen = { sent: 0, cancelled: false };
  const running = await start(async server => {
    watch(server, seen);
    const closer = await example.serve(server, { speed, log: line => logged.push(line) });
    if (closer) closers.add(closer);
  });
  const client = new Client(`127.0.0.1:${running.port}`, grpc.credentials.createInsecure(), options);
  await new Promise(resolve => client.waitForReady(Date.now() + 5000, resolve));
  clients.add(client);
  return { client, running, seen, logged };
}

/** For `afterEach`: closes all that tests served here, and what the services opened. */
export async function closeServed(): Promise<void> {
  for (const client of clients) client.close();
  clients.clear();
  await stopAll();
  for (const close of closers) await close();
  closers.clear();
}

/** Looks at what services that are added to a server do. */
export function watch(server: grpc.Server, seen: Seen): void {
  const addService = server.addService.bind(server);
  server.addService = (definition, implementation) => {
    const counted: Record<string, grpc.MethodDefinition<any, any>> = {};
    for (const [name, method] of Object.entries(definition))
      counted[name] = {
        ...method,
        responseSerialize(message) {
          seen.sent += 1;
          return method.responseSerialize(message);
        },
      };
    const watched: grpc.UntypedServiceImplementation = {};
    for (const [name, handler] of Object.entries(implementation))
      watched[name] = ((call: grpc.ServerWritableStream<unknown, unknown>, ...rest: []) => {
        call.once('cancelled', () => {
          seen.cancelled = true;
        });
        (handler as grpc.handleServerStreamingCall<unknown, unknown>)(call, ...rest);
      }) as grpc.UntypedHandleCall;
    addService(counted, watched);
  };
}

/** Timers that would keep this process alive. */
export function timers(): number {
  return process.getActiveResourcesInfo().filter(name => name === 'Timeout').length;
}

/** Holds within 50 ms of the server hearing that its client left; and no call is open then. */
export async function soonAfterCancel(seen: Seen, what: string, holds: () => boolean): Promise<void> {
  await until('the server hears of it', () => seen.cancelled);
  await soon(what, () => holds() && live.size === 0);
}

/** Waits until a count that has begun does not grow any more; answers it. */
export async function standstill(count: () => number): Promise<number> {
  let last = 0;
  let still = 0;
  await until('it stands still', () => {
    still = count() === last ? still + 1 : 0;
    last = count();
    return last > 0 && still > 15;
  });
  return last;
}

/** Reads one message and no more: a grpc-js client that has read none at all takes everything that comes. */
export async function readOne<T>(stream: grpc.ClientReadableStream<T>): Promise<T> {
  stream.on('error', () => {});
  return new Promise(resolve => {
    stream.once('data', message => {
      stream.pause();
      resolve(message);
    });
  });
}

/** Calls a method that a service has not. */
export function callNothing(client: grpc.Client, service: string): grpc.ClientReadableStream<Buffer> {
  const same = (bytes: Buffer) => bytes;
  return client.makeServerStreamRequest(`/${service}/Nothing`, same, same, Buffer.alloc(0));
}
