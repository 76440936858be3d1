import * as grpc from '@grpc/grpc-js';
import {
  type Call,
  configure,
  interceptor,
  type Method,
  type Middleware,
  mount,
  produce,
  wrap,
} from '../../lib/index.ts';

/** Messages are JSON here, so that a test may send what it likes. */
const json = {
  serialize: (value: unknown) => Buffer.from(JSON.stringify(value)),
  deserialize: (bytes: Buffer) => JSON.parse(bytes.toString()),
};

export const path = '/spec.Service/Stream';

export const definition = {
  stream: {
    path,
    requestStream: false,
    responseStream: true,
    requestSerialize: json.serialize,
    requestDeserialize: json.deserialize,
    responseSerialize: json.serialize,
    responseDeserialize: json.deserialize,
  },
} as const satisfies grpc.ServiceDefinition;

/** The same method, and how often it has encoded a message. */
export function encodings(): { readonly definition: typeof definition; count: number } {
  const counting = {
    count: 0,
    definition: {
      stream: {
        ...definition.stream,
        responseSerialize(value: unknown) {
          counting.count += 1;
          return json.serialize(value);
        },
      },
    },
  };
  return counting;
}

export type Handler = grpc.handleServerStreamingCall<any, any>;
export type AnySource = Method<any, any>;

export const mountNames = ['produce', 'wrap', 'mount', 'interceptor'] as const;
export type MountName = (typeof mountNames)[number];

export interface Reply {
  readonly messages: any[];
  readonly header: grpc.Metadata | undefined;
  readonly trailer: grpc.Metadata;
  readonly code: grpc.status;
  readonly details: string;
}

/** One call in progress, as its client sees it. */
export interface Calling {
  readonly stream: grpc.ClientReadableStream<any>;
  /** Settles when the status came. */
  readonly reply: Promise<Reply>;
  cancel(): void;
}

export interface Running {
  readonly server: grpc.Server;
  readonly port: number;
  readonly client: grpc.Client;
  /** Opens a call that reads at once, unless `paused`. */
  open(request?: unknown, opts?: OpenOptions): Calling;
  call(request?: unknown, opts?: OpenOptions): Promise<Reply>;
  close(): Promise<void>;
}

export interface OpenOptions extends grpc.CallOptions {
  readonly metadata?: grpc.Metadata;
  readonly paused?: boolean;
}

const running = new Set<Running>();

/** Starts a server that a test sets up, with one client of it. Stopped after the test by `stopAll`. */
export async function start(
  setUp: (server: grpc.Server) => unknown,
  serverOptions: grpc.ServerOptions = {},
): Promise<Running> {
  const server = new grpc.Server(serverOptions);
  await setUp(server);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  // A deadline must not pass while the connection is made.
  await new Promise(resolve => client.waitForReady(Date.now() + 5000, resolve));
  const open = (request: unknown = {}, { metadata, paused, ...rest }: OpenOptions = {}): Calling => {
    const { requestSerialize, responseDeserialize } = definition.stream;
    const stream = client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata ?? new grpc.Metadata(),
      rest,
    );
    return { stream, reply: collect(stream, paused), cancel: () => stream.cancel() };
  };
  const result: Running = {
    server,
    port,
    client,
    open,
    call: (request, opts) => open(request, opts).reply,
    async close() {
      running.delete(result);
      client.close();
      server.forceShutdown();
    },
  };
  running.add(result);
  return result;
}

/** For `afterEach`: closes whatever a test left running. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map(one => one.close()));
}

/** What comes of a call. */
export function collect(stream: grpc.ClientReadableStream<any>, paused = false): Promise<Reply> {
  const messages: any[] = [];
  let header: grpc.Metadata | undefined;
  stream.on('metadata', metadata => {
    header = metadata;
  });
  stream.on('error', () => {});
  if (!paused) stream.on('data', message => messages.push(message));
  return new Promise(resolve => {
    stream.on('status', ({ code, details, metadata }) => {
      resolve({ messages, header, trailer: metadata, code, details });
    });
  });
}

/** Errors are expected in most tests, and go nowhere unless a test looks at them. */
export const quiet = configure({ onError: () => {}, onOrphan: () => {}, cleanupGraceMs: 50 });

/** Serves one source, with middleware, on one of the mounts. */
export function serve(
  on: MountName,
  source: AnySource,
  middleware: Middleware[] = [],
  serverOptions: grpc.ServerOptions = {},
): Promise<Running> {
  const list = [quiet, ...middleware];
  switch (on) {
    case 'produce':
      return start(
        server => server.addService(definition, { stream: produce(source, ...list) }),
        serverOptions,
      );
    case 'mount':
      return start(server => mount(server, definition, { stream: source }, ...list), serverOptions);
    case 'wrap': {
      const { handler, tap } = handWritten(source);
      return start(
        server => server.addService(definition, { stream: wrap(handler, ...list, tap) }),
        serverOptions,
      );
    }
    case 'interceptor': {
      const { handler, tap } = handWritten(source);
      return start(server => server.addService(definition, { stream: handler }), {
        ...serverOptions,
        interceptors: [interceptor(...list, tap), ...(serverOptions.interceptors ?? [])],
      });
    }
  }
}

/**
 * A handler as people write them by hand, who know all there is to know: it honours `drain`, stops its iterator
 * on `cancelled`, reports errors. `tap` is the innermost middleware, and gives the source its call.
 */
export function handWritten(source: AnySource): { handler: Handler; tap: Middleware } {
  let current: Call | undefined;
  const handler: Handler = async stream => {
    try {
      const made: any = await source(stream.request, current as Call);
      const iterator: AsyncIterator<unknown> = made[Symbol.asyncIterator]?.() ?? made[Symbol.iterator]();
      let done = false;
      stream.once('cancelled', () => {
        if (!done) void Promise.resolve(iterator.return?.()).catch(() => {});
      });
      while (!stream.cancelled) {
        const step = await iterator.next();
        if (step.done) {
          done = true;
          break;
        }
        if (stream.cancelled) return;
        if (!stream.write(step.value)) await new Promise(resolve => stream.once('drain', resolve));
      }
      stream.end();
    } catch (error) {
      stream.emit('error', error as Error);
    }
  };
  return {
    handler,
    tap: call => {
      current = call;
    },
  };
}

/** Resolves at the next turn of the event loop. */
export const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

/**
 * Waits until something holds, and fails loudly when it does not come to. A process that hardly gets its turn, on a
 * machine that is busy, looks less often and is waited for longer.
 */
export async function until(what: string, holds: () => boolean, withinMs = 3000): Promise<void> {
  const end = Date.now() + withinMs;
  for (let looks = 0; !holds(); looks++) {
    if (Date.now() > end && looks > withinMs / 4) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 1));
  }
}

/**
 * The same within a short time, of which a turn of the event loop takes at most 5 ms: what a machine stalls, or a
 * database that runs in this thread computes, is not what is asked about.
 */
export async function soon(what: string, holds: () => boolean, withinMs = 50): Promise<void> {
  let spent = 0;
  for (let at = performance.now(); !holds(); ) {
    if (spent > withinMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 1));
    const now = performance.now();
    spent += Math.min(now - at, 5);
    at = now;
  }
}

/** A promise with its handles outside. */
export function deferred<T = void>(): {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
} {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
