import * as grpc from '@grpc/grpc-js';
import { type Database, openDatabase } from '../../examples/database.ts';
import { streamservice } from '../../examples/protos.ts';
import { type Methods, type Middleware, mount } from '../../lib/index.ts';
import { quiet, start } from './harness.ts';

const { StreamService } = streamservice;
type Client = InstanceType<typeof StreamService>;

/** How a call ended, and all that came before. */
export interface Ended<T> {
  readonly messages: T[];
  readonly header: grpc.Metadata | undefined;
  readonly trailer: grpc.Metadata;
  readonly code: grpc.status;
  readonly details: string;
}

/** A call in progress: `messages` grows. */
export interface Watched<T> {
  readonly stream: grpc.ClientReadableStream<T>;
  readonly messages: T[];
  readonly ended: Promise<Ended<T>>;
}

/** Serves some of the methods of StreamService, and gives a plain grpc-js client. */
export async function serveStreams(
  sources: Record<string, unknown>,
  ...middleware: Middleware[]
): Promise<Client> {
  const given = sources as unknown as Methods<typeof StreamService.service>;
  const { port } = await start(server => mount(server, StreamService.service, given, quiet, ...middleware));
  const client = new StreamService(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  await new Promise(resolve => client.waitForReady(Date.now() + 5000, resolve));
  clients.add(client);
  return client;
}

const { DATABASE_URL, LEAT_REQUIRE_ENGINES } = process.env;

/** The title of specs that need a PostgreSQL, with the reason if they are skipped. */
export const postgres: string = `PostgreSQL${DATABASE_URL ? '' : ' (skipped: DATABASE_URL names no server)'}`;

/** Most machines run no PostgreSQL; where one is promised (LEAT_REQUIRE_ENGINES), a missing one is a failure. */
export function openPostgres(hook: Mocha.Context): Database {
  if (DATABASE_URL) return openDatabase({ url: DATABASE_URL });
  if (LEAT_REQUIRE_ENGINES === '1') throw new Error('there is no DATABASE_URL');
  return hook.skip();
}

const clients = new Set<Client>();

/** For `afterEach`, beside `stopAll`. */
export function closeClients(): void {
  for (const client of clients) client.close();
  clients.clear();
}

/** Listens to a call; reads it unless `paused`. */
export function watch<T>(stream: grpc.ClientReadableStream<T>, { paused = false } = {}): Watched<T> {
  const messages: T[] = [];
  let header: grpc.Metadata | undefined;
  stream.on('metadata', metadata => {
    header = metadata;
  });
  stream.on('error', () => {});
  if (!paused) stream.on('data', message => messages.push(message));
  const ended = new Promise<Ended<T>>(resolve => {
    stream.on('status', ({ code, details, metadata }) => {
      resolve({ messages, header, trailer: metadata, code, details });
    });
  });
  return { stream, messages, ended };
}

/** All of a call. */
export function all<T>(stream: grpc.ClientReadableStream<T>): Promise<Ended<T>> {
  return watch(stream).ended;
}

/**
 * The embedded database, one for all specs: it takes seconds to start. Nothing is to be kept in it, and its
 * thread keeps no process alive.
 */
export function embedded(): Database {
  shared ??= openDatabase();
  return shared;
}

let shared: Database | undefined;

/** Counts what a database has lent out, and the rows that were fetched or moved over. */
export function counting(database: Database): Database & { readonly lent: number; readonly moved: number } {
  let lent = 0;
  let moved = 0;
  return {
    get lent() {
      return lent;
    },
    get moved() {
      return moved;
    },
    async connect(signal) {
      const connection = await database.connect(signal);
      lent += 1;
      return {
        async run(sql) {
          const result = await connection.run(sql);
          if (/^(FETCH|MOVE)/.test(sql)) moved += result.count;
          return result;
        },
        async release() {
          await connection.release();
          lent -= 1;
        },
      };
    },
    close: () => database.close(),
  };
}
