import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { path } from './harness.ts';

/** A message as gRPC puts it on a stream: a flag, its length, its bytes. */
export function frame(bytes: Uint8Array, flag = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(flag);
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

/** The frames in these bytes, and what is left of them. */
export function framesOf(bytes: Buffer): { frames: { flags: number; bytes: Buffer }[]; left: Buffer } {
  const frames: { flags: number; bytes: Buffer }[] = [];
  let left = bytes;
  while (left.length >= 5 && left.length >= 5 + left.readUInt32BE(1)) {
    const end = 5 + left.readUInt32BE(1);
    frames.push({ flags: left.readUInt8(0), bytes: left.subarray(5, end) });
    left = left.subarray(end);
  }
  return { frames, left };
}

/** An HTTP/2 connection without a gRPC client on it. */
export function connectRaw(port: number, settings: Record<string, number> = {}): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`, { settings });
  session.on('error', () => {});
  return session;
}

/** Opens a call on it, with a body that is the test's own business. */
export function requestRaw(
  session: ClientHttp2Session,
  body: Uint8Array | undefined = frame(Buffer.from('{}')),
  headers: Record<string, string | undefined> = {},
): ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  stream.on('error', () => {});
  stream.end(body);
  return stream;
}

/** The `grpc-status` that comes, if one does before the stream is closed. */
export function statusOf(stream: ClientHttp2Stream): Promise<string | undefined> {
  return new Promise(resolve => {
    let code: string | undefined;
    const look = (headers: Record<string, unknown>) => {
      code ??= headers['grpc-status'] as string | undefined;
    };
    stream.on('response', look);
    stream.on('trailers', look);
    stream.on('close', () => resolve(code));
    stream.resume();
  });
}
