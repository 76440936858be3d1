import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { path } from './harness.ts';

/** A message of two bytes, with its prefix: `{}`. */
export const REQUEST: Buffer = Buffer.from([0, 0, 0, 0, 2, 0x7b, 0x7d]);

export interface RawCall {
  readonly socket: Socket;
  readonly session: ClientHttp2Session;
  readonly stream: ClientHttp2Stream;
}

/** Opens a call by a client without manners, over a socket that a test may destroy, and sends no request. */
export function rawOpen(port: number, headers: Record<string, string> = {}): RawCall {
  const socket = connect(port, '127.0.0.1');
  const session = connectHttp2(`http://127.0.0.1:${port}`, { createConnection: () => socket });
  session.on('error', () => {});
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  stream.on('error', () => {});
  return { socket, session, stream };
}

/** A call as every client makes it, by such a client. */
export function rawCall(port: number, headers: Record<string, string> = {}): RawCall {
  const call = rawOpen(port, headers);
  call.stream.end(REQUEST);
  return call;
}

/** The status that comes, in the headers or in the trailers. */
export function rawStatus(stream: ClientHttp2Stream): Promise<number> {
  stream.resume();
  return new Promise((resolve, reject) => {
    const look = (headers: Record<string, unknown>) => {
      if (headers['grpc-status'] !== undefined) resolve(Number(headers['grpc-status']));
    };
    stream.on('response', look);
    stream.on('trailers', look);
    stream.on('close', () => reject(new Error('the stream closed without a status')));
  });
}
