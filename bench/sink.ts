import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { expose } from './child.ts';
import { Frames } from './frames.ts';
import type { Speech } from './servers/contender.ts';
import { Items, type Request } from './services.ts';
import type { Batch } from './sources.ts';
import { age } from './stamp.ts';
import { readWeb } from './web-sink.ts';

/** Wide enough that flow control is never what limits a stream. */
const wideWindow = 2 ** 30;

const decode = Items.Trickle?.responseDeserialize as (bytes: Buffer) => Batch;

interface Hold {
  port: number;
  request: Request;
  streams: number;
  connections?: number;
  /** `never`: the default windows of HTTP/2 fill up, and stay full. */
  read?: 'all' | 'first' | 'never';
}

let sessions: ClientHttp2Session[] = [];
let held: ClientHttp2Stream[] = [];
let received = 0;
let awaited: { messages: number; resolve: () => void } | undefined;

async function open(port: number, wide = true): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${port}`, {
    settings: wide ? { initialWindowSize: wideWindow } : {},
  });
  await once(session, 'remoteSettings');
  if (wide) session.setLocalWindowSize(wideWindow);
  return session;
}

function begin(session: ClientHttp2Session, { path }: Request): ClientHttp2Stream {
  return session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
}

function send(session: ClientHttp2Session, request: Request): ClientHttp2Stream {
  return begin(session, request).end(Buffer.from(request.body, 'base64'));
}

/** Reads one stream to its end, and resolves to the number of its messages. */
function readAll(
  session: ClientHttp2Session,
  request: Request,
  onChunk?: (chunk: Buffer) => void,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const frames = new Frames();
    let status: unknown;
    const stream = send(session, request);
    stream.on('data', chunk => frames.read(chunk));
    if (onChunk) stream.on('data', onChunk);
    stream.on('response', headers => {
      status ??= headers['grpc-status'];
    });
    stream.on('trailers', trailers => {
      status = trailers['grpc-status'];
    });
    stream.on('error', reject);
    stream.on('close', () => {
      if (status === '0') resolve(frames.messages);
      else reject(new Error(`grpc-status ${status} after ${frames.messages} messages`));
    });
  });
}

async function timeToFirst(session: ClientHttp2Session, request: Request): Promise<number> {
  const start = performance.now();
  const stream = send(session, request);
  await once(stream, 'data');
  const ms = performance.now() - start;
  stream.resume();
  await once(stream, 'close');
  return ms;
}

function leave(stream: ClientHttp2Stream): void {
  stream.close(constants.NGHTTP2_CANCEL);
}

function count(frames: Frames, chunk: Buffer): void {
  const before = frames.messages;
  frames.read(chunk);
  received += frames.messages - before;
  if (awaited && received >= awaited.messages) awaited.resolve();
}

interface Reading {
  port: number;
  request: Request;
  streams: number;
  speaks?: Speech | undefined;
}

const api = {
  /** Reads streams to their end, and reports how long that took and how much came. */
  async readAll({ port, request, streams, speaks }: Reading) {
    if (speaks) return readWeb(port, request, speaks);
    const session = await open(port);
    const start = performance.now();
    const counts = await Promise.all(Array.from({ length: streams }, () => readAll(session, request)));
    const ms = performance.now() - start;
    session.close();
    return { ms, messages: counts.reduce((sum, messages) => sum + messages, 0) };
  },

  /** Makes calls of one message each, so many at a time. */
  async calls({
    port,
    request,
    calls,
    atOnce,
  }: Record<'port' | 'calls' | 'atOnce', number> & { request: Request }) {
    const session = await open(port);
    let left = calls;
    const worker = async () => {
      while (left-- > 0) await readAll(session, request);
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    session.close();
  },

  /** Streams a request so many times in one call, and reports how many messages came for that. */
  async upload({ port, request, count }: { port: number; request: Request; count: number }) {
    const session = await open(port);
    const frames = new Frames();
    const stream = begin(session, request);
    stream.on('data', chunk => frames.read(chunk));
    const closed = once(stream, 'close');
    const one = Buffer.from(request.body, 'base64');
    const some = Buffer.concat(Array.from({ length: 50 }, () => one));
    for (let left = count; left > 0; left -= 50)
      if (!stream.write(left < 50 ? some.subarray(0, left * one.length) : some)) await once(stream, 'drain');
    stream.end();
    await closed;
    session.close();
    return frames.messages;
  },

  /** Reads a stream of batches to its end, and reports how many milliseconds old each item was when it came. */
  async ages({ port, request }: { port: number; request: Request }) {
    const session = await open(port);
    const ages: number[] = [];
    let rest: Buffer = Buffer.alloc(0);
    await readAll(session, request, chunk => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
        const end = 5 + rest.readUInt32BE(1);
        for (const item of decode(rest.subarray(5, end)).items) ages.push(age(item));
        rest = rest.subarray(end);
      }
    });
    session.close();
    return ages;
  },

  /** Makes calls one after the other, and reports how many milliseconds each first message took. */
  async timeToFirst({ port, request, calls }: { port: number; request: Request; calls: number }) {
    const session = await open(port);
    for (let warm = 0; warm < 100; warm++) await timeToFirst(session, request);
    const times: number[] = [];
    for (let call = 0; call < calls; call++) times.push(await timeToFirst(session, request));
    session.close();
    return times;
  },

  /** Opens streams and keeps them. */
  async hold({ port, request, streams, connections = 1, read = 'all' }: Hold) {
    received = 0;
    sessions = await Promise.all(Array.from({ length: connections }, () => open(port, read !== 'never')));
    held = sessions.flatMap(session =>
      Array.from({ length: streams / connections }, () => send(session, request)),
    );
    for (const stream of held) {
      const frames = new Frames();
      stream.on('error', () => {});
      if (read === 'all') stream.on('data', chunk => count(frames, chunk));
      if (read === 'first') stream.on('data', () => leave(stream));
    }
  },

  /** Resolves when the held streams have got so many messages in all. */
  async received(messages: number) {
    if (received < messages) {
      await new Promise<void>(resolve => {
        awaited = { messages, resolve };
      });
    }
    awaited = undefined;
  },

  /** Cancels the held streams, and closes their connections. */
  async cancel() {
    await Promise.all(
      held.map(stream => {
        if (stream.closed || stream.destroyed) return undefined;
        leave(stream);
        return once(stream, 'close');
      }),
    );
    for (const session of sessions) session.close();
  },
};

export type SinkApi = typeof api;

expose(api);
