import type { CallOptions, ClientReadableStream, Metadata } from '@grpc/grpc-js';
import { expected, isClass, isThenable } from '../check.ts';
import { forget, survive } from '../hooks.ts';
import { nearest } from '../nearest.ts';
import { recast, watched } from './other-copy.ts';

/** Starts one RPC of a generated client, of whichever generator. */
export type Open<Req, Res> = (
  request: Req,
  metadata: Metadata,
  options: CallOptions,
) => ClientReadableStream<Res>;

const WAY_OUT =
  "give `client, 'method'`, or `(request, metadata, options) => client.method(request, metadata, options)`";

/** @throws TypeError when it is nothing that starts an RPC, as far as that shows before it is called. */
export function checkOpen(open: unknown): void {
  if (typeof open !== 'function') throw expected('open', 'a function', open, `: ${WAY_OUT}`);
  if (isClass(open))
    throw expected('open', 'a function, not a class', open, `: ${WAY_OUT}, where \`client\` is an instance`);
  // What grpc-js puts on the methods of its clients, and what a bound one does not have.
  const { path, responseStream } = open as { path?: unknown; responseStream?: unknown };
  if (typeof path !== 'string' || typeof responseStream !== 'boolean') return;
  const method = `got the method \`${path}\` itself, which does not know its client`;
  throw new TypeError(`Expected \`open\` to call a method, ${method}: ${WAY_OUT}`);
}

/**
 * How a method of a client is called.
 * @throws TypeError when the client has none of this name that a server streams.
 */
export function methodOf(client: object, name: unknown): Open<unknown, unknown> {
  const method: unknown =
    typeof name === 'string' && !isEvery(client, name) ? Reflect.get(client, name) : undefined;
  if (typeof method !== 'function') {
    const names = streamingNames(client);
    const meant = typeof name === 'string' ? nearest(name, names) : undefined;
    const hint = meant ? `did you mean \`${meant}\`?` : `it has ${names.join(', ') || 'none'}`;
    throw expected('method', 'the name of a server-streaming method of the client', name, `: ${hint}`);
  }
  const { requestStream, responseStream } = method as { requestStream?: unknown; responseStream?: unknown };
  if (requestStream === true || responseStream === false)
    throw expected('method', 'one that a server streams, and its client does not', name);
  return (request, metadata, options) => Reflect.apply(method, client, [request, metadata, options]);
}

/** Whether every client, or every object, has it by this name, as `close`. */
function isEvery(client: object, name: string): boolean {
  let owner: object | null = client;
  while (owner && !Object.hasOwn(owner, name)) owner = Object.getPrototypeOf(owner);
  if (owner === null || owner === client) return false;
  return name === 'constructor' || owner === Object.prototype || Object.hasOwn(owner, 'makeUnaryRequest');
}

/** As far as a client shows them: those of grpc-js are on its prototype. */
function streamingNames(client: object): string[] {
  const names: string[] = [];
  for (
    let from: object | null = client;
    from && from !== Object.prototype;
    from = Object.getPrototypeOf(from)
  )
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(from)))
      if (value?.responseStream === true && value.requestStream === false) names.push(name);
  return names;
}

/** Opens the RPCs of a subscription, and checks what came of it. */
export class Opener<Req, Res> {
  /** Metadata of the client's copy of grpc-js, if that is not the copy that ours is of. */
  private own: Metadata | undefined;
  private readonly opened = new WeakSet<object>();

  constructor(private readonly open: Open<Req, Res>) {}

  /** @throws TypeError when `open` returned no stream that can be read; what it returned is ended. */
  start(request: Req, metadata: Metadata, options: CallOptions): ClientReadableStream<Res> {
    const before = this.own;
    let stream = this.call(request, metadata, options);
    if (this.own !== before) {
      letGo(stream);
      stream = this.call(request, metadata, options);
    }
    const fault = faultOf(stream) ?? (this.opened.has(stream) ? 'it was returned before' : undefined);
    if (fault !== undefined) {
      letGo(stream);
      throw expected('open()', 'a ClientReadableStream', stream, `: ${fault}`);
    }
    this.opened.add(stream);
    return stream;
  }

  private call(request: Req, metadata: Metadata, options: CallOptions): ClientReadableStream<Res> {
    const sent = watched(this.own ? recast(metadata, this.own) : metadata, own => {
      this.own = own;
    });
    try {
      return Reflect.apply(this.open, NOBODY, [request, sent, options]);
    } catch (error) {
      // What grpc-js says to who calls a method without a callback that needs one.
      if (!(error instanceof Error) || error.message !== 'Incorrect arguments passed') throw error;
      const message = 'Expected `open` to call a server-streaming method, got one with a single answer';
      throw new TypeError(message, { cause: error });
    }
  }
}

/** What `open` is called on: a method that was taken from its client hears that it has none. */
const NOBODY: object = new Proxy(Object.freeze({}), {
  get(_target, key) {
    throw new TypeError(
      `Expected \`open\` not to need \`this\`, it reads \`${String(key)}\` of it: ${WAY_OUT}`,
    );
  },
});

/** Why it is no stream to read; nothing when it is one. */
function faultOf(opened: unknown): string | undefined {
  const { read, cancel, write, writableEnded } = (opened ?? {}) as Record<string, unknown>;
  if (opened === undefined) return 'is a `return` missing?';
  if (isThenable(opened)) return '`open` is not waited for; what it waits for may go into `metadata`';
  if (typeof cancel !== 'function') return `it takes a client of grpc-js: ${WAY_OUT}`;
  if (typeof read !== 'function') return 'a method with a single answer has no stream';
  if (typeof write === 'function' && !writableEnded)
    return 'its client streams too, and has not said `end()`';
  return undefined;
}

/**
 * Ends what nobody will read, so that it neither goes on nor fails unheard. Not in this turn of the event loop:
 * grpc-js lets a call start that was cancelled too early, and then nobody can cancel it any more.
 */
function letGo(opened: unknown): void {
  if (isThenable(opened)) return forget(opened.then(letGo));
  const { on, cancel } = (opened ?? {}) as Record<string, unknown>;
  if (typeof on === 'function') Reflect.apply(on, opened, ['error', () => {}]);
  if (typeof cancel === 'function') setImmediate(() => survive(() => Reflect.apply(cancel, opened, [])));
}
