import { constants, type ServerHttp2Stream } from 'node:http2';
import { ServerInterceptingCall, status } from '@grpc/grpc-js';
import { isLost } from '../lost.ts';
import type { Identity } from '../rpc.ts';
import type { Call, ConnectionInfo, Outcome } from '../types.ts';
import { PREFIX_BYTES } from '../wire/frame.ts';
import type { Delivery, Outlet, Serialize } from '../wire/port.ts';
import { letGoOf, letGoOnceClosed } from './let-go.ts';
import { isTraced, StreamOutlet, type Tracker } from './stream-outlet.ts';
import './ticks.ts';

/**
 * What lies between a call and its HTTP/2 stream. All of it is private to grpc-js, and might be missing: then
 * messages go through grpc-js, one at a time, sizes are unknown and every end by the far side is a cancellation.
 */
interface Link {
  /** The wire of an interceptor of ours. */
  readonly wire?: Pick<Delivery, 'pendingBytes' | 'takenAt'> | undefined;
  /** Its call, which an interceptor of ours has. */
  readonly call?: { readonly view: Call; readonly known: Outcome | undefined } | undefined;
  readonly nextCall?: Link;
  readonly processingMetadata?: boolean;
  readonly processingMessage?: boolean;
  readonly sendMessage?: unknown;
  readonly sendMetadata?: unknown;
  readonly stream?: ServerHttp2Stream;
  readonly maxSendMessageSize?: number;
  readonly deadlineTimer?: NodeJS.Timeout | null;
  readonly handler?: { serialize?: Serialize };
  readonly callEventTracker?: Tracker | null;
  readonly cancelled?: boolean;
  readonly cancelNotified?: boolean;
  getConnectionInfo?(): ConnectionInfo;
}

/** An interceptor of ours tells by itself whether it has room: it holds nothing back without saying so. */
export const transparent: unique symbol = Symbol.for('leat.transparent') as never;

/**
 * What a status is in HTTP/2, to a client that can be told no more than that.
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#errors
 */
const RESETS: Partial<Record<status, number>> = {
  [status.ABORTED]: constants.NGHTTP2_REFUSED_STREAM,
  [status.UNAVAILABLE]: constants.NGHTTP2_REFUSED_STREAM,
  [status.RESOURCE_EXHAUSTED]: constants.NGHTTP2_ENHANCE_YOUR_CALM,
  [status.INTERNAL]: constants.NGHTTP2_INTERNAL_ERROR,
};

/** The code of HTTP/2 that says this status to a client which can be told no more. */
export function resetOf(code: status): number {
  return RESETS[code] ?? constants.NGHTTP2_CANCEL;
}

/** What grpc-js takes for no limit. */
const UNLIMITED = -1;

/** How large a message may be, by what grpc-js says of that. */
export function limitOf(size: number): number {
  return size === UNLIMITED ? Number.POSITIVE_INFINITY : size;
}

/** The call of grpc-js itself, below all interceptors that show what is below them. */
export function baseOf(link: unknown): Link | undefined {
  let base = link as Link | undefined;
  while (base?.nextCall) base = base.nextCall;
  return base;
}

/**
 * Whether a call is over before its handler starts: grpc-js answers some by itself (a deadline that passed, a
 * message that is too large), or its client is gone, and the end of its request is told all the same.
 */
export function isOver(link: unknown): boolean {
  const { cancelled, cancelNotified, stream } = baseOf(link) ?? {};
  if (cancelled === true || cancelNotified === true) return true;
  return stream !== undefined && (stream.destroyed || stream.closed || stream.writableEnded);
}

/** The call that the nearest interceptor of ours made of this RPC. */
export function callAbove(link: unknown): { readonly view: Call } | undefined {
  for (let next = link as Link | undefined; next; next = next.nextCall)
    if (transparent in next) return next.call;
  return undefined;
}

export function lookBelow(link: unknown, given: object | undefined): Below {
  let links = NONE;
  let readable = true;
  let base = link as Link | undefined;
  while (base?.nextCall) {
    readable &&= isReadable(base);
    if (links === NONE) links = [];
    links.push(base);
    base = base.nextCall;
  }
  readable &&= typeof base?.stream?.writableLength === 'number';
  if (base?.stream) {
    if (!links.some(isOurs)) letGoOnceClosed(base.stream);
    if (given) letGoOf(given, base, base.stream);
  }
  const session = base?.stream?.session;
  const known = readable ? base : undefined;
  return new Below(readable ? links : NONE, known, session, base, link as Link | undefined);
}

function isOurs(link: Link): boolean {
  return transparent in link;
}

/** Most calls have no interceptor: they share this. */
const NONE: Link[] = [];

function isReadable(link: Link): boolean {
  if (transparent in link) return true;
  const { sendMessage, sendMetadata } = ServerInterceptingCall.prototype;
  return (
    link.sendMessage === sendMessage &&
    link.sendMetadata === sendMetadata &&
    typeof link.processingMessage === 'boolean' &&
    typeof link.processingMetadata === 'boolean'
  );
}

export class Below {
  readonly maxBytes: number;
  /** Whether there is nobody between a call and grpc-js. */
  readonly direct: boolean;
  private readonly stream: ServerHttp2Stream | undefined;
  /** Below is an interceptor of ours, which writes at the end of the turn. */
  private readonly ours: Link | undefined;

  constructor(
    private readonly links: Link[],
    private readonly base: Link | undefined,
    /** Known also where what lies between cannot be looked into. */
    private readonly session: ServerHttp2Stream['session'],
    private readonly bottom: Link | undefined,
    private readonly top: Link | undefined,
  ) {
    this.stream = base?.stream;
    this.ours = links.find(isOurs);
    this.direct = this.stream !== undefined && links.length === 0;
    const { maxSendMessageSize = UNLIMITED } = base ?? {};
    this.maxBytes = limitOf(maxSendMessageSize);
  }

  /** What the RPC goes by, for all mounts that get down to the same. What shows no stream is no call of grpc-js. */
  get identity(): Identity | undefined {
    const { bottom } = this;
    return bottom && { of: bottom, isCall: bottom.stream !== undefined };
  }

  /** Where frames may be written, once the headers are sent; nowhere when something lies between. */
  outlet(): Outlet | undefined {
    const { base, direct, maxBytes, stream } = this;
    const serialize = base?.handler?.serialize;
    if (!direct || stream?.headersSent !== true || typeof serialize !== 'function') return undefined;
    if (isTraced()) return undefined;
    return new StreamOutlet(stream, serialize, maxBytes, base?.callEventTracker);
  }

  held(): boolean {
    if (this.stream === undefined) return true;
    for (const link of this.links) if (link.processingMessage || link.processingMetadata) return true;
    return false;
  }

  pendingBytes(): number {
    return this.ours?.wire?.pendingBytes ?? this.stream?.writableLength ?? 0;
  }

  /** When some of what was sent was taken, where an interceptor of ours below knows it. */
  takenAt(): number | undefined {
    return this.ours?.wire?.takenAt;
  }

  /** The size of the message just sent, without its frame; unknown when an interceptor still has it. */
  grown(before: number, message: unknown): number | undefined {
    if (this.stream === undefined || this.held()) return undefined;
    if (this.ours) return this.sizeOf(message);
    return this.stream.writableLength - before - PREFIX_BYTES;
  }

  /** How grpc-js encodes the messages of this method. */
  get serialize(): Serialize | undefined {
    return this.base?.handler?.serialize;
  }

  /** The size of a message that waits; costs as much as sending it. */
  sizeOf(message: unknown): number | undefined {
    try {
      return this.base?.handler?.serialize?.(message).length;
    } catch {
      return undefined;
    }
  }

  /** Whether grpc-js ended the call by itself while it was sending. */
  gaveUp(): boolean {
    return this.stream?.writableEnded === true;
  }

  /** How an interceptor of ours below ended the call, if it did: its own layers did, or it could not send a message. */
  conclusion(): Outcome | undefined {
    return this.ours?.call?.known;
  }

  /** Whether grpc-js ended the call by itself, and the stream is not closed by the other side. */
  endedItself(): boolean {
    return this.gaveUp() && this.stream?.destroyed === false;
  }

  sentStatus(): status | undefined {
    const sent = this.stream?.sentTrailers?.['grpc-status'] ?? this.stream?.sentHeaders?.['grpc-status'];
    return sent === undefined ? undefined : (Number(sent) as status);
  }

  /** Why grpc-js did not send a message. */
  refusal(message: unknown): { code: status; cause?: unknown } {
    try {
      this.base?.handler?.serialize?.(message);
      return { code: Number.isFinite(this.maxBytes) ? status.RESOURCE_EXHAUSTED : status.INTERNAL };
    } catch (cause) {
      return { code: status.INTERNAL, cause };
    }
  }

  /** Stops the timer that was set for a deadline it cannot hold. */
  disarm(): void {
    clearTimeout(this.base?.deadlineTimer ?? undefined);
  }

  belongsTo(server: object): boolean {
    const { bindAsync, http2Servers } = server as {
      bindAsync?: unknown;
      http2Servers?: Map<unknown, { sessions: Set<unknown> }>;
    };
    // What is no server of grpc-js has none of its calls.
    if (typeof bindAsync !== 'function') return false;
    if (this.session === undefined || !(http2Servers instanceof Map)) return true;
    for (const { sessions } of http2Servers.values()) if (sessions.has(this.session)) return true;
    return false;
  }

  /** Whether the stream is closed, so that there is nothing to be reset any more. */
  over(): boolean {
    return this.stream === undefined || this.stream.closed || this.stream.destroyed;
  }

  reset(code: status): void {
    if (this.stream?.closed === false) this.stream.close(resetOf(code));
  }

  get connectionInfo(): ConnectionInfo {
    return this.top?.getConnectionInfo?.() ?? {};
  }

  disconnected(): boolean {
    return isLost(this.session);
  }
}
