import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  constants,
  type IncomingHttpHeaders,
  type Settings,
} from 'node:http2';
import { connect, type Socket } from 'node:net';
import { path } from './harness.ts';

/** What one call brought, byte for byte. */
export interface Exchange {
  readonly stream: ClientHttp2Stream;
  readonly header: IncomingHttpHeaders | undefined;
  /** What followed the messages; in a response without messages the header itself. */
  readonly trailer: IncomingHttpHeaders | undefined;
  /** The content of all DATA frames. */
  payload(): Buffer;
  messages(): unknown[];
  /** Settles when the stream is closed, however it was. */
  readonly closed: Promise<void>;
  /** Says that the call is not wanted any more. */
  reset(): void;
}

export interface PeerOptions {
  readonly settings?: Settings;
}

export interface RequestOptions {
  readonly path?: string;
  readonly headers?: Record<string, string>;
  /** Takes what comes; otherwise nothing is read, and the flow-control window stays as it is. */
  readonly read?: boolean;
}

/** A connection of a client that speaks plain HTTP/2 and needs no manners. */
export class Peer {
  readonly socket: Socket;
  readonly session: ClientHttp2Session;

  constructor(port: number, { settings }: PeerOptions = {}) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('error', () => {});
    this.session = connectHttp2(`http://127.0.0.1:${port}`, {
      createConnection: () => this.socket,
      ...(settings && { settings }),
    });
    this.session.on('error', () => {});
  }

  open(request: unknown = {}, { headers, read = true, path: method = path }: RequestOptions = {}): Exchange {
    const stream = this.session.request({
      ':method': 'POST',
      ':path': method,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    const chunks: Buffer[] = [];
    let header: IncomingHttpHeaders | undefined;
    let trailer: IncomingHttpHeaders | undefined;
    stream.on('response', received => {
      header = received;
      if (received['grpc-status'] !== undefined) trailer = received;
    });
    stream.on('trailers', received => {
      trailer = received;
    });
    stream.on('error', () => {});
    if (read) stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    const closed = new Promise<void>(resolve => stream.once('close', resolve));
    stream.end(framed(request));
    return {
      stream,
      closed,
      get header() {
        return header;
      },
      get trailer() {
        return trailer;
      },
      payload: () => Buffer.concat(chunks),
      messages: () => [...unframed(Buffer.concat(chunks))],
      reset: () => stream.close(constants.NGHTTP2_CANCEL),
    };
  }

  /** The connection is gone without a word (RST). */
  resetTcp(): void {
    this.socket.resetAndDestroy();
  }

  close(): void {
    this.session.close();
  }
}

/** A client that takes no byte of any message: flow control lets none through. */
export function stalledPeer(port: number): Peer {
  return new Peer(port, { settings: { initialWindowSize: 0 } });
}

/** Bytes are a message that somebody else has encoded. */
function framed(message: unknown): Buffer {
  const bytes = Buffer.isBuffer(message) ? message : Buffer.from(JSON.stringify(message));
  const frame = Buffer.alloc(5 + bytes.length);
  frame.writeUInt32BE(bytes.length, 1);
  bytes.copy(frame, 5);
  return frame;
}

function* unframed(bytes: Buffer): Generator<unknown> {
  for (let at = 0; at + 5 <= bytes.length; ) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    yield JSON.parse(bytes.toString('utf8', at + 5, end));
    at = end;
  }
}
