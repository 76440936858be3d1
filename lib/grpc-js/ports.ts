import { type Metadata, type ServerWritableStream, type sendUnaryData, status } from '@grpc/grpc-js';
import type { Carrier, Delivery, Port, Serialize, WireStatus } from '../wire/port.ts';
import { LinkDelivery } from './link-delivery.ts';
import { GrpcPort } from './port.ts';

export type AnyStream = ServerWritableStream<unknown, unknown>;

/** What is below the call that a handler was given; private to grpc-js. */
export function linkOf(stream: unknown): unknown {
  return (stream as { call?: unknown } | null | undefined)?.call;
}

const transport: unique symbol = Symbol.for('leat.port') as never;

/** Gives a stream that is not of grpc-js its transport. */
export function carryBy(stream: object, port: Port): void {
  Object.assign(stream, { [transport]: port });
}

export function givenPort(stream: object): Port | undefined {
  return (stream as { [transport]?: Port })[transport];
}

/** The call of grpc-js, where it shows. */
interface StatusLink {
  sendStatus?(last: WireStatus): void;
}

/**
 * Past the Writable that a handler is given, which takes one message per turn of the event loop. It ends all the same,
 * or emits its error: automatic instrumentation listens for that.
 */
export class StreamPort extends GrpcPort {
  constructor(
    protected readonly stream: AnyStream,
    serialize: Serialize | undefined,
  ) {
    // From one that is read, more may be read.
    super(linkOf(stream), serialize, '_read' in stream ? undefined : stream);
  }

  header(metadata: Metadata): void {
    this.stream.sendMetadata(metadata);
  }

  message(message: unknown, ack: () => void): void {
    this.stream._write(message, '', ack);
  }

  status(last: WireStatus): void {
    if (last.code === status.OK) this.stream.end(last.metadata);
    else this.stream.emit('error', this.shown(last));
  }
}

/** Of a call that is answered by a callback nobody has to do with the Writable: its status goes past that, too. */
export class AnswerPort extends StreamPort {
  override status(last: WireStatus): void {
    const link = linkOf(this.stream) as StatusLink | undefined;
    if (typeof link?.sendStatus === 'function') link.sendStatus(this.direct ? last : this.shown(last));
    else super.status(last);
  }
}

export type Callback = sendUnaryData<unknown>;

/**
 * Whether the stream of a call that is answered by a callback may be written to instead, as its callback would: that
 * is so when it is a Writable, and the callback is that of grpc-js and of nobody who wants to see the answer.
 */
export function isWayOfStream(stream: object, callback: Callback | undefined): boolean {
  if (!('_write' in stream)) return false;
  return callback === undefined || (callback.name === 'respond' && callback.length === 4);
}

/** The way of a call that is answered by a callback: message and status go together. */
export class CallbackPort extends GrpcPort {
  private answer: unknown;
  private readonly sendMetadata: (metadata: Metadata) => void;

  constructor(
    stream: Pick<AnyStream, 'sendMetadata'>,
    private readonly callback: Callback,
    serialize?: Serialize,
  ) {
    super(linkOf(stream), serialize);
    this.sendMetadata = stream.sendMetadata.bind(stream);
  }

  override get direct(): boolean {
    return false;
  }

  /** What cannot be encoded is to fail here, and not when all have heard that the call went well. */
  override open(carrier: Carrier): Delivery {
    return new LinkDelivery(this, this.below, carrier, this.serialize ?? this.below.serialize);
  }

  header(metadata: Metadata): void {
    this.sendMetadata(metadata);
  }

  message(message: unknown, ack: () => void): void {
    this.answer = message;
    ack();
  }

  status(last: WireStatus): void {
    const { code, metadata } = last;
    if (code === status.OK) this.callback(null, this.answer, metadata);
    else this.callback(this.shown(last));
  }
}

type Listener = (error: unknown) => void;

/** The way of a wrapped call down to grpc-js, as it was before the handler got our own. */
export class HandlerPort extends GrpcPort {
  private readonly link: StatusLink | undefined;
  private readonly sendMetadata: (metadata: Metadata) => void;
  private readonly write: (message: unknown, encoding: string, ack: () => void) => void;
  private readonly final: (done: () => void) => void;
  private readonly listeners: readonly Listener[];

  constructor(stream: AnyStream) {
    const link = linkOf(stream);
    super(link);
    this.link = link as StatusLink | undefined;
    this.sendMetadata = stream.sendMetadata.bind(stream);
    this.write = stream._write.bind(stream);
    this.final = (stream as unknown as { _final(done: () => void): void })._final.bind(stream);
    this.listeners = stream.listeners('error') as unknown as Listener[];
  }

  header(metadata: Metadata): void {
    this.sendMetadata(metadata);
  }

  message(message: unknown, ack: () => void): void {
    this.write(message, '', ack);
  }

  /** Where the call of grpc-js is hidden, its own listener is one of these: it keeps the status that it hears. */
  status(last: WireStatus): void {
    if (typeof this.link?.sendStatus === 'function')
      return this.link.sendStatus(this.direct ? last : this.shown(last));
    for (const listener of this.listeners) listener(this.shown(last));
    this.final(() => {});
  }
}
