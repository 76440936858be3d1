import { EventEmitter } from 'node:events';
import { Writable } from 'node:stream';
import {
  type handleServerStreamingCall,
  type Metadata,
  type ServerWritableStream,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { ServerCall } from './call.ts';
import { checkMiddleware, expected, isThenable } from './check.ts';
import { all } from './compose.ts';
import { counters } from './counters.ts';
import type { Port, WireStatus } from './delivery.ts';
import { type Handler, mark, partsOf } from './handler.ts';
import { handle } from './produce.ts';
import { completed, Relay } from './relay.ts';
import { report } from './report.ts';
import { INTERNAL_ERROR, isErrorCode, outcomeOf } from './status.ts';
import type { Middleware, Outcome } from './types.ts';

/**
 * Gives a handler, or every server-streaming handler of an implementation, middleware, guards and pipelined
 * delivery. The handler goes on writing to `call` as before: it sees the same properties and the same events,
 * what it writes too late is absorbed, and a rejection of an `async` one ends the call.
 *
 * @example
 * server.addService(NumberService.service, wrap({ listNumbers: handler }, tracing()));
 * @throws TypeError when `target` is neither, or a middleware is not a function.
 */
export function wrap<Req, Res>(
  target: handleServerStreamingCall<Req, Res>,
  ...middleware: Middleware<Req, Res>[]
): Handler<Req, Res>;
export function wrap<T extends UntypedServiceImplementation | object>(
  target: T,
  ...middleware: Middleware[]
): T;
export function wrap(target: unknown, ...middleware: Middleware[]): unknown {
  checkMiddleware(middleware);
  if (typeof target === 'function') return wrapHandler(target as AnyHandler, middleware);
  if (typeof target === 'object' && target !== null) return wrapImplementation(target, middleware);
  throw expected('target', 'a handler or an implementation', target);
}

type AnyHandler = handleServerStreamingCall<unknown, unknown>;
type AnyStream = ServerWritableStream<unknown, unknown>;

/** A handler that is already ours is taken apart and made once more: nothing is guarded twice. */
function wrapHandler(handler: AnyHandler, outer: readonly Middleware[]): AnyHandler {
  const parts = partsOf(handler);
  const middleware = [...outer, ...(parts?.middleware ?? [])];
  if (parts?.source) return handle(parts.source, middleware);
  return relayed(parts?.wrapped ?? handler, middleware);
}

/** The methods of an implementation may be its own or inherited, and keep it as their `this`. */
function wrapImplementation(implementation: object, middleware: readonly Middleware[]): object {
  const wrapped: Record<string, unknown> = {};
  for (let from = implementation; from && from !== Object.prototype; from = Object.getPrototypeOf(from)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(from))) {
      if (typeof value !== 'function' || name === 'constructor' || name in wrapped) continue;
      wrapped[name] = wrapHandler(partsOf(value) ? value : value.bind(implementation), middleware);
    }
  }
  return wrapped;
}

function relayed(handler: AnyHandler, middleware: readonly Middleware[]): AnyHandler {
  const layers = all(...middleware);
  function wrapped(this: unknown, stream: AnyStream, ...rest: unknown[]): void {
    if (rest.length > 0 || !isServerStream(stream)) return Reflect.apply(handler, this, [stream, ...rest]);
    if (stream.cancelled) return;
    const outer = wrappings.get(stream);
    const port = outer ? new RelayPort(outer.relay) : new HandlerPort(stream);
    if (outer) stream.off('error', outer.fail);
    const call = new ServerCall(stream, stream.request, port);
    const fail = attach(stream, call, port);
    call.begin(layers, () => {
      try {
        const returned: unknown = handler.call(this as never, stream);
        if (isThenable(returned)) returned.then(undefined, fail);
      } catch (error) {
        fail(error);
      }
    });
  }
  return mark(wrapped, { wrapped: handler, middleware });
}

/** In an implementation all kinds of methods stand side by side: these are not read from, and have no callback. */
function isServerStream(call: object): boolean {
  return '_write' in call && !('read' in call);
}

interface Wrapping {
  readonly relay: Relay;
  readonly fail: (error: unknown) => void;
}

/** What each call was last wrapped with: a wrapped handler may hand its call to another one. */
const wrappings = new WeakMap<AnyStream, Wrapping>();

/** The way of a wrapped call down to grpc-js, as it was before the handler got our own. */
class HandlerPort implements Port {
  /** The status is on its way down, through methods that are ours by now. */
  sending = false;
  readonly link: unknown;
  readonly header: (metadata: Metadata) => void;
  readonly message: (message: unknown, ack: () => void) => void;
  private readonly final: (done: () => void) => void;
  /** grpc-js keeps the status to send in its own `error` listener. */
  private readonly setStatus: (last: WireStatus) => void;

  constructor(stream: AnyStream) {
    const write = stream._write;
    const [setStatus] = stream.listeners('error') as [(error: unknown) => void];
    this.link = (stream as { call?: unknown }).call;
    this.header = stream.sendMetadata.bind(stream);
    this.message = (message, ack) => write.call(stream, message, '', ack);
    this.final = (stream as unknown as { _final(done: () => void): void })._final.bind(stream);
    this.setStatus = setStatus;
    stream.off('error', setStatus);
  }

  status(last: WireStatus): void {
    this.sending = true;
    this.setStatus(last);
    this.sending = false;
    this.final(() => {});
  }
}

/** The way down of a call that is wrapped twice: to the layers of the first one. */
class RelayPort implements Port {
  readonly sending = false;
  readonly link = undefined;

  constructor(private readonly relay: Relay) {}

  header(metadata: Metadata): void {
    this.relay.header(metadata);
  }

  message(message: unknown, ack: () => void): void {
    this.relay.message(message, ack);
  }

  belongsTo(server: object): boolean {
    return this.relay.belongsTo(server);
  }

  status({ code, details, metadata }: WireStatus): void {
    const reason = code === status.OK ? 'completed' : 'error';
    void this.relay.status({ code, details, metadata, reason });
  }
}

/**
 * Puts ours under the Writable that the handler holds: below it messages go to the layers, above it nothing
 * gets through that comes too late. Returns how the handler fails.
 */
function attach(
  stream: AnyStream,
  call: ServerCall,
  port: HandlerPort | RelayPort,
): (error: unknown) => void {
  const relay = new Relay(call);
  const { write, end, emit } = stream;
  let trailer: Metadata | undefined;
  let failure: Outcome | undefined;
  let told = stream.cancelled;

  const fail = (error: unknown) => {
    const innermost = wrappings.get(stream)?.fail ?? fail;
    if (innermost !== fail) return innermost(error);
    const outcome = outcomeOfHandler(error);
    if (!relay.open || stream.writableEnded) {
      counters.lateEnds += 1;
      const told = error === failure?.cause || call.isAbort(error);
      if (outcome.details === INTERNAL_ERROR && !told) report(error, call);
      return;
    }
    failure = outcome;
    end.call(stream);
  };
  const late = (...args: unknown[]) => {
    counters.lateMessages += 1;
    const written = args.find(argument => typeof argument === 'function') as (
      error: Error,
    ) => void | undefined;
    // What a handler makes of this is no failure of its own.
    if (written) process.nextTick(written, new DOMException('the call is over', 'AbortError'));
    return false;
  };
  /** Ended by somebody else than the handler, which may wait for something that will not come. */
  call.released = () => {
    if (relay.ended) return;
    const waits = stream.writableNeedDrain;
    process.nextTick(() => {
      if (!told) {
        told = true;
        stream.cancelled = true;
        EventEmitter.prototype.emit.call(stream, 'cancelled', 'cancelled');
      }
      if (waits) stream.emit('drain');
      Writable.prototype.destroy.call(stream);
    });
  };
  wrappings.set(stream, { relay, fail });
  stream.on('error', fail);
  Object.assign(stream, {
    sendMetadata: (metadata: Metadata) => relay.header(metadata),
    write: (...args: Parameters<typeof write>) =>
      relay.open && !stream.writableEnded ? write.apply(stream, args) : late(...args),
    end: (metadata?: Metadata) => {
      if (port.sending) return stream;
      if (stream.writableEnded || !relay.open) counters.lateEnds += 1;
      else {
        trailer = metadata;
        end.call(stream, metadata);
      }
      return stream;
    },
    destroy: (error?: Error) => {
      if (relay.open) fail(error ?? new Error('the handler destroyed its call'));
      else Writable.prototype.destroy.call(stream, error);
      return stream;
    },
    emit: (event: string, ...args: unknown[]) => {
      if (event === 'cancelled') {
        call.terminated();
        if (told) return false;
        told = true;
        return call.within(() => emit.call(stream, event, ...args));
      }
      return emit.call(stream, event, ...args);
    },
    _write: (message: unknown, _encoding: string, ack: () => void) => relay.message(message, ack),
    _final: (done: () => void) => void relay.status(failure ?? completed(trailer), done),
  });
  return fail;
}

/** Handlers of grpc-js may give a status as `{ code, message }`. */
function outcomeOfHandler(error: unknown): Outcome {
  try {
    const { code, details, message, metadata } = error as Partial<Record<string, unknown>>;
    if (isErrorCode(code) && details === undefined && typeof message === 'string')
      return outcomeOf({ code, details: message, metadata });
  } catch {
    // Not a status.
  }
  return outcomeOf(error);
}
