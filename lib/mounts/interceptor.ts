import {
  Metadata,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from '@grpc/grpc-js';
import { type Origin, type Reading, ServerCall } from '../call/call.ts';
import { compose } from '../call/compose.ts';
import { checkMiddleware } from '../check.ts';
import { isOver, transparent } from '../grpc-js/below.ts';
import { deframe } from '../grpc-js/deframe.ts';
import { halfClosed } from '../grpc-js/half-close.ts';
import { GrpcPort } from '../grpc-js/port.ts';
import { kindOfMethod } from '../kinds.ts';
import { interceptorOf } from '../made.ts';
import { completed, Relay } from '../run/relay.ts';
import { isErrorCode, outcomeOf } from '../status/status.ts';
import type { Kind, Middleware, Outcome } from '../types.ts';
import type { WireStatus } from '../wire/port.ts';

/**
 * Makes middleware an interceptor for a whole server: it covers every method of every service, of all kinds and
 * whoever wrote it. A unary call is a stream of one message. Where clients stream, layers are made when the call comes,
 * and before anything is read of it.
 *
 * @example
 * const server = new grpc.Server({ interceptors: [interceptor(tracing(), errors())] });
 * @throws TypeError when a middleware is not a function.
 */
export function interceptor(...middleware: Middleware[]): ServerInterceptor {
  checkMiddleware(middleware);
  const layers = compose(...middleware);
  return interceptorOf(function leat({ path, requestStream, responseStream }, next) {
    return new Intercepted(path, next, layers, kindOfMethod(requestStream, responseStream)) as never;
  });
}

type Listener = Parameters<ServerInterceptingCallInterface['start']>[0];
type Status = Parameters<ServerInterceptingCallInterface['sendStatus']>[0];

/** One call of a handler that knows nothing of it: the request on its way in, the answer on its way out. */
class Intercepted implements ServerInterceptingCallInterface, Origin, Reading {
  readonly [transparent] = true;
  readonly processingMetadata = false;
  metadata: Metadata = new Metadata();
  private request: unknown;
  call: ServerCall | undefined;
  private relay: Relay | undefined;
  /** The client left before the handler was started, which it is not any more. */
  private over = false;
  /** Its client has not sent all: what the handler does with that does not show here. */
  waits = true;

  constructor(
    private readonly path: string,
    readonly nextCall: ServerInterceptingCallInterface,
    private readonly layers: Middleware,
    private readonly kind: Kind,
  ) {}

  private get streamed(): boolean {
    return this.kind === 'clientStream' || this.kind === 'bidi';
  }

  /** For a wire of ours above: what was taken below. */
  get wire(): ServerCall['wire'] | undefined {
    return this.call?.wire;
  }

  /** Read by a mount of ours above: there is no room below. */
  get processingMessage(): boolean {
    return this.call !== undefined && !this.call.wire.room;
  }

  start(listener: Listener): void {
    let cancelled = false;
    const cancel = () => {
      if (!cancelled) listener.onCancel();
      cancelled = true;
    };
    this.nextCall.start({
      onReceiveMetadata: metadata => {
        this.metadata = metadata;
        const tell = () => listener.onReceiveMetadata(metadata);
        // Its handler starts now, and nothing is read before it does.
        if (this.streamed) this.begin(tell, cancel);
        else tell();
      },
      onReceiveMessage: message => {
        if (this.streamed) return this.inside(() => listener.onReceiveMessage(message));
        this.request = message;
        listener.onReceiveMessage(message);
      },
      onReceiveHalfClose: () => {
        const tell = () => {
          this.waits = false;
          listener.onReceiveHalfClose();
        };
        if (this.streamed) return halfClosed(this.nextCall, this.metadata, () => this.inside(tell));
        // grpc-js refuses a call without a request before it gets to a handler.
        if (this.request) this.begin(tell, cancel);
        else tell();
      },
      onCancel: () => {
        this.over = true;
        this.call?.clientLeft();
        if (this.call) this.call.within(cancel);
        else cancel();
      },
    });
  }

  /** The client has sent something; whoever hears of it runs where the layers do. */
  private inside(tell: () => void): void {
    this.call?.requested();
    if (this.call) this.call.within(tell);
    else tell();
  }

  /** The handler is about to start. */
  private begin(start: () => void, cancel: () => void): void {
    if (this.over || isOver(this.nextCall)) return;
    const call = new ServerCall(this, this.request, new NextPort(this.nextCall), this.kind);
    const relay = new Relay(call);
    this.call = call;
    this.relay = relay;
    if (this.streamed) {
      call.reading = this;
      deframe(this.nextCall);
    }
    call.producer = {
      released() {
        if (!relay.ended) process.nextTick(cancel);
      },
    };
    call.begin(this.layers, start);
  }

  /** It hears of its end by its stream. */
  wake(): void {}

  sendMetadata(metadata: Metadata): void {
    if (this.relay) this.relay.header(metadata);
    else this.nextCall.sendMetadata(metadata);
  }

  sendMessage(message: unknown, ack: () => void): void {
    if (this.relay) this.relay.message(message, ack);
    else this.nextCall.sendMessage(message, ack);
  }

  sendStatus(last: Status): void {
    if (!this.call || !this.relay) return this.nextCall.sendStatus(last);
    void this.relay.status(this.call.rpc.conclusion(last as WireStatus) ?? outcomeOfStatus(last));
  }

  startRead(): void {
    this.nextCall.startRead();
  }

  getPath(): string {
    return this.path;
  }

  getPeer(): string {
    return this.nextCall.getPeer();
  }

  getDeadline(): ReturnType<ServerInterceptingCallInterface['getDeadline']> {
    return this.nextCall.getDeadline();
  }

  getHost(): string {
    return this.nextCall.getHost();
  }

  getAuthContext(): ReturnType<ServerInterceptingCallInterface['getAuthContext']> {
    return this.nextCall.getAuthContext();
  }

  getConnectionInfo(): ReturnType<ServerInterceptingCallInterface['getConnectionInfo']> {
    return this.nextCall.getConnectionInfo();
  }

  getMetricsRecorder(): ReturnType<ServerInterceptingCallInterface['getMetricsRecorder']> {
    return this.nextCall.getMetricsRecorder();
  }
}

/** The next link below, whoever it is. */
class NextPort extends GrpcPort {
  constructor(private readonly nextCall: ServerInterceptingCallInterface) {
    super(nextCall);
  }

  header(metadata: Metadata): void {
    this.nextCall.sendMetadata(metadata);
  }

  message(message: unknown, ack: () => void): void {
    this.nextCall.sendMessage(message, ack);
  }

  status(last: WireStatus): void {
    this.nextCall.sendStatus(this.shown(last));
  }
}

/**
 * Judges the status of a handler that is not ours. grpc-js makes an error without a status `UNKNOWN` with its
 * message, which was not meant for the client, sends codes that do not exist, and makes an error with the code 0 an
 * `OK`, of which only the details tell. In an `UNKNOWN`, what was meant for the client cannot be told from what was
 * not: the text stays here, and the trailers, which were set on purpose, are sent.
 */
function outcomeOfStatus({ code, details, metadata }: Status): Outcome {
  const trailers = metadata ?? undefined;
  if (code === status.OK && details === 'OK') return completed(trailers);
  // The message of an error might be anything, also something that cannot be made text.
  const text = typeof details === 'string' ? details : 'the handler failed without a message';
  const cause = new Error(text);
  // grpc-js keeps no more of what a handler failed with, and where it was made is not where it failed.
  cause.stack = `Error: ${text}\n    in a handler under \`interceptor\`, which hears of its message alone; under \`wrap\` it has its stack`;
  if (code === status.UNKNOWN) return { ...outcomeOf(cause), metadata: trailers };
  if (!isErrorCode(code) || text !== details) return outcomeOf(cause);
  return { code, details, reason: 'error', metadata: trailers, cause };
}
