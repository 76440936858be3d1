import type { ServerResponse } from 'node:http';
import type { Http2Session } from 'node:http2';
import { Metadata, type MetadataValue, type status as Status, status } from '@grpc/grpc-js';
import { counts } from '../counters.ts';
import { resetOf } from '../grpc-js/below.ts';
import { isLost } from '../lost.ts';
import { DEADLINE_EXCEEDED } from '../status/status.ts';
import type { ConnectionInfo, Outcome } from '../types.ts';
import { FrameDelivery } from '../wire/frames.ts';
import type { Carrier, Delivery, Encoding, Port, WireStatus } from '../wire/port.ts';
import { writeHead } from './head.ts';
import { ResponseOutlet } from './outlet.ts';
import type { Refusal } from './refusal.ts';
import { isHttp2, type WebResponse } from './transport.ts';

/** What a port needs to know of the call that it is for. */
export interface Carried {
  readonly response: WebResponse;
  /** Whose it is. */
  readonly browser: object;
  readonly connectionInfo: ConnectionInfo;
  /** What goes with every response to this request: what may be read from another origin. */
  readonly headers: Readonly<Record<string, string>>;
  /** Headers by these names may be read from another origin; nothing when it is not one. */
  expose(names: readonly string[]): Readonly<Record<string, string>>;
}

/** The response to a browser as a transport; in which words messages and status are said is for those that extend it. */
export abstract class WebPort implements Port {
  readonly identity = undefined;
  readonly direct = true;
  over = false;
  /** Somebody waits to hear that the response is closed. */
  left: (() => void) | undefined;
  /** Messages come for as long as the client stays. */
  lasting = false;
  /** Something was written of late: nobody need be told that the connection is there. */
  protected busy = false;
  protected delivery: Delivery | undefined;
  private headed = false;
  private readonly session: Http2Session | undefined;

  constructor(protected readonly carried: Carried) {
    const { response } = carried;
    this.session = isHttp2(response) ? response.stream?.session : undefined;
    // What becomes of a response is told by its end; without a listener, an error would end the process.
    response.on('error', () => {});
    response.once('close', () => {
      this.over = true;
      this.closed();
      this.left?.();
    });
  }

  /** How messages are encoded, once there is one. */
  protected abstract readonly encoding: Encoding;
  /** The body is base64. */
  protected abstract readonly base64: boolean;
  /** Headers of the protocol. */
  protected abstract headers(): Record<string, string>;
  /** What the body begins with. */
  protected abstract begin(): string | undefined;
  /** What the body ends with. */
  protected abstract last(status: WireStatus): string | Buffer;

  protected closed(): void {}

  get connectionInfo(): ConnectionInfo {
    return this.carried.connectionInfo;
  }

  deadline(expiresAt: number): number {
    return expiresAt;
  }

  header(metadata: Metadata): void {
    if (this.headed) counts.droppedMetadata += Object.keys(metadata.getMap()).length;
    else this.head(metadata);
  }

  open(carrier: Carrier): Delivery {
    this.head();
    const wrote = () => {
      this.busy = true;
    };
    const outlet = new ResponseOutlet(this.carried.response, this.encoding, this.base64, wrote);
    this.delivery = new FrameDelivery(outlet, carrier);
    return this.delivery;
  }

  status(last: WireStatus): void {
    this.head();
    this.closed();
    const end = this.last(last);
    // As one of two types, its overloads are told apart by nobody.
    (this.carried.response as { end(chunk: string | Buffer): unknown }).end(end);
  }

  /** Says a status without a call: a request that no method hears of. */
  refuse({ code, details }: Refusal): void {
    if (!this.over) this.status({ code, details, metadata: new Metadata() });
  }

  /** On HTTP/1.1 a client that leaves has no other word for it than to close its connection. */
  verdict(late: boolean): Outcome {
    if (late) return DEADLINE_EXCEEDED;
    if (isLost(this.session))
      return { code: status.CANCELLED, details: 'connection lost', reason: 'disconnected' };
    return { code: status.CANCELLED, details: 'cancelled by the client', reason: 'cancelled' };
  }

  reset(code: Status): void {
    const { response } = this.carried;
    if (this.over || response.writableFinished) return;
    if (isHttp2(response)) response.stream.close(resetOf(code));
    else response.destroy();
  }

  belongsTo(server: object): boolean {
    return server === this.carried.browser;
  }

  /** Sends the headers now, if they did not go yet: those that come later are dropped. */
  head(metadata?: Metadata): void {
    if (this.headed || this.over) return;
    this.headed = true;
    const { carried } = this;
    const { response } = carried;
    const own = headersOf(metadata);
    const last = this.lasting && !isHttp2(response) ? LAST_OF_CONNECTION : {};
    const exposed = carried.expose(Object.keys(own));
    writeHead(response, 200, this.headers(), last, own, carried.headers, exposed);
    const begin = this.begin();
    // As one of two types, its overloads are told apart by nobody.
    if (begin !== undefined) (response as { write(chunk: string): unknown }).write(begin);
    else process.nextTick(flushed, this);
  }

  /** What answers the call has started. */
  started(): void {}

  /** Headers that nothing was sent after are sent alone. */
  flushHead(): void {
    const { response } = this.carried;
    // That of HTTP/2 has it as well, which its types forget.
    if (!this.busy && !this.over && !response.writableEnded) (response as ServerResponse).flushHeaders();
  }
}

/**
 * Chromium reads on for up to five seconds after a page has left, to use a connection again: the source would hear of
 * that leaving as late. One that it cannot use again it closes at once.
 */
const LAST_OF_CONNECTION = { connection: 'close' };

/** A block of messages is written at the end of the turn, which comes first. */
function flushed(port: WebPort): void {
  process.nextTick(flush, port);
}

function flush(port: WebPort): void {
  port.flushHead();
}

/** Metadata as headers: HTTP knows no bytes, and browsers no padding. */
export function headersOf(metadata: Metadata | undefined): Record<string, string[]> {
  const all: [string, MetadataValue[]][] = metadata ? Object.entries(metadata.toJSON()) : [];
  return Object.fromEntries(all.map(([key, values]) => [key, values.map(textOf)]));
}

export function textOf(value: MetadataValue): string {
  return typeof value === 'string' ? value : value.toString('base64').replace(/=+$/, '');
}
