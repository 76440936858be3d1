import { request as request1 } from 'node:http';
import { connect } from 'node:http2';
import type { Readable } from 'node:stream';
import { Frames } from './frames.ts';
import type { Speech } from './servers/contender.ts';
import type { Request } from './services.ts';

/** Wide enough that flow control is never what limits a stream. */
const wideWindow = 2 ** 30;

/** Counts events by the empty lines after them, and keeps the end of what came, which has the status. */
class Events {
  messages = 0;
  private last = 0;

  read(chunk: Buffer): void {
    let { last } = this;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      if (byte === LINE_END && last === LINE_END) this.messages += 1;
      last = byte;
    }
    this.last = last;
  }
}

const LINE_END = 10;

/** Reads one stream as a browser would ask for it, but parses no more of it than it takes to count. */
export async function readWeb(port: number, { path, body, query }: Request, { by, http }: Speech) {
  const events = by === 'events';
  const url = events ? `${path}?${query}` : path;
  const headers = events ? { accept: 'text/event-stream' } : { 'content-type': 'application/grpc-web+proto' };
  const sent = events ? undefined : Buffer.from(body, 'base64');
  const counter = events ? new Events() : new Frames();
  let last: Buffer = Buffer.alloc(0);
  const start = performance.now();
  await new Promise<void>((resolve, reject) => {
    const read = (stream: Readable) => {
      stream.on('data', (chunk: Buffer) => {
        counter.read(chunk);
        last = chunk;
      });
      stream.on('error', reject);
      stream.on('end', resolve);
    };
    const method = events ? 'GET' : 'POST';
    if (http === 1) {
      const request = request1({ port, host: '127.0.0.1', path: url, method, headers, agent: false }, read);
      request.on('error', reject);
      request.end(sent);
      return;
    }
    const session = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: wideWindow } });
    session.on('connect', () => session.setLocalWindowSize(wideWindow));
    const stream = session.request({ ':method': method, ':path': url, ...headers });
    read(stream);
    stream.on('end', () => session.close());
    stream.end(sent);
  });
  const ms = performance.now() - start;
  const ended = events ? last.includes('"code":0') : last.includes('grpc-status: 0');
  if (!ended) throw new Error(`no status OK, but ${last.subarray(-200)}`);
  // The retry hint and the status are no messages; nor are the trailers.
  return { ms, messages: counter.messages - (events ? 2 : 1) };
}
