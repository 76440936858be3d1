import { type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { path } from './harness.ts';

/** A call by a client without manners: plain HTTP/2, over a socket that a test may destroy. */
export function rawCall(
  port: number,
  headers: Record<string, string> = {},
): { socket: Socket; stream: ClientHttp2Stream } {
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
  stream.end(Buffer.from([0, 0, 0, 0, 2, 0x7b, 0x7d]));
  return { socket, stream };
}
