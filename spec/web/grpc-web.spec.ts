import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcWebTransport } from '@connectrpc/connect-node';
import { Metadata, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { type Call, counters, mount, plain, StatusError, wrap } from '../../lib/index.ts';
import { bytesOfText } from '../../lib/web/grpc-web.ts';
import { frame, framesOf } from '../support/frames.ts';
import { quiet, until } from '../support/harness.ts';
import { registryOf } from '../support/protoc.ts';
import { rawPost, startWeb, type WebName, type WebServer, webNames } from '../support/web-client.ts';
import { everything } from '../support/web-service.ts';

const service = everything({ longs: String, enums: String, defaults: true });
const { One, Many } = service;
const registry = registryOf(Many);
const desc = registry.getService('spec.web.Everything');

const started = new Set<WebServer>();

async function serve(on: WebName, methods: object, ...middleware: any[]): Promise<WebServer> {
  const server = await startWeb(on, browser =>
    mount(browser, service, methods as never, quiet, ...middleware),
  );
  started.add(server);
  return server;
}

function clientOf(on: WebName, { base }: WebServer): any {
  const httpVersion = on === 'web over HTTP/2' ? '2' : '1.1';
  return createClient(desc as never, createGrpcWebTransport({ baseUrl: base, httpVersion }));
}

/** What comes of a call by hand. */
async function post(
  on: WebName,
  { port }: WebServer,
  path: string,
  headers: Record<string, string>,
  body: Buffer | string,
) {
  const response = await rawPost(on, port, path, headers, body).body;
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  const text = String(response.headers['content-type']).includes('-text');
  const { frames } = framesOf(text ? (bytesOfText(bytes, 2 ** 30) as Buffer) : bytes);
  const last = frames.at(-1);
  const trailers = last?.flags === 0x80 ? last.bytes.toString('latin1') : '';
  return { status: response.status, headers: response.headers, frames, trailers, bytes };
}

const typed = { 'content-type': 'application/grpc-web+proto' };

describe('web(), by gRPC-Web', () => {
  afterEach(async () => {
    await Promise.all([...started].map(one => one.close()));
    started.clear();
  });
  for (const on of webNames) describe(on, () => speaks(on));
});

function speaks(on: WebName): void {
  it('B1 serves the client of Connect: messages, headers, trailers, both kinds', async () => {
    const methods = {
      one: (thing: any, call: Call) => {
        call.header.set('x-asked', String(call.metadata.get('x-ask')));
        call.trailer.set('x-bytes-bin', Buffer.from([1, 2, 3, 4]));
        return { text: `${thing.text}!` };
      },
      async *many({ someCount }: any) {
        for (let num = 1; num <= someCount; num++) yield { someCount: num };
      },
    };
    const client = clientOf(on, await serve(on, methods));
    const seen: Record<string, string | null> = {};
    const { text } = await client.one(
      { text: 'hello' },
      {
        headers: { 'x-ask': 'this' },
        onHeader: (headers: Headers) => Object.assign(seen, { asked: headers.get('x-asked') }),
        onTrailer: (trailers: Headers) => Object.assign(seen, { bytes: trailers.get('x-bytes-bin') }),
      },
    );
    expect({ text, ...seen }).to.deep.equal({ text: 'hello!', asked: 'this', bytes: 'AQIDBA' });
    const counts: number[] = [];
    for await (const { someCount } of client.many({ someCount: 2000 })) counts.push(someCount);
    expect(counts).to.deep.equal(Array.from({ length: 2000 }, (_, index) => index + 1));
  });

  it('B1 tells errors with details, after messages and before any, and nothing that was not meant for clients', async () => {
    const details = [{ typeUrl: 'type.googleapis.com/x.Y', value: new Uint8Array([1, 2]) }];
    const methods = {
      one: () => {
        throw new StatusError(status.NOT_FOUND, 'no such thing: 100 % gone, ü', { details });
      },
      async *many() {
        yield { text: 'first' };
        throw new Error('a secret');
      },
    };
    const client = clientOf(on, await serve(on, methods));
    const error = await client.one({}).catch((caught: unknown) => ConnectError.from(caught));
    expect(error.code).to.equal(Code.NotFound);
    expect(error.rawMessage).to.equal('no such thing: 100 % gone, ü');
    expect(error.details[0]).to.deep.include({ type: 'x.Y' });
    const got: string[] = [];
    try {
      for await (const { text } of client.many({})) got.push(text);
    } catch (caught) {
      got.push(ConnectError.from(caught).rawMessage);
    }
    expect(got).to.deep.equal(['first', 'internal error']);
  });

  it('B1 holds a deadline', async () => {
    let reason: unknown;
    const methods = {
      async *many(_thing: unknown, { signal }: Call) {
        yield {};
        await new Promise(resolve => signal.addEventListener('abort', resolve));
        reason = signal.reason;
      },
    };
    const server = await serve(on, methods);
    const { trailers } = await post(
      on,
      server,
      Many.path,
      { ...typed, 'grpc-timeout': '100m' },
      frame(Buffer.alloc(0)),
    );
    expect(trailers).to.include('grpc-status: 4');
    await until('the source heard', () => reason !== undefined);
    expect(reason).to.include({ code: status.DEADLINE_EXCEEDED });
  });

  it('B1 has no grpc-message on OK, and no padding in bytes', async () => {
    const methods = {
      one: (_: unknown, call: Call) => {
        call.header.set('x-head-bin', Buffer.from([1]));
        call.trailer.set('x-tail-bin', Buffer.from([1]));
        return {};
      },
    };
    const { trailers, headers, frames } = await post(
      on,
      await serve(on, methods),
      One.path,
      typed,
      frame(Buffer.alloc(0)),
    );
    expect(headers['x-head-bin']).to.equal('AQ');
    expect(trailers).to.equal('grpc-status: 0\r\nx-tail-bin: AQ\r\n');
    expect(frames.map(({ flags }) => flags)).to.deep.equal([0, 0x80]);
  });

  it('B1 speaks text to who asks for it, and binary with or without a format', async () => {
    const server = await serve(on, {
      one: (thing: any) => thing,
      many: () => [{ text: 'a' }, { text: 'x'.repeat(100_000) }],
    });
    const body = frame(Many.requestSerialize({ text: 'hi' }));
    for (const type of [
      'application/grpc-web',
      'application/grpc-web+proto',
      'Application/gRPC-Web+proto; charset=utf-8',
    ]) {
      const { headers, frames } = await post(on, server, One.path, { 'content-type': type }, body);
      expect(headers['content-type']).to.equal('application/grpc-web+proto');
      expect(Many.responseDeserialize(frames[0]?.bytes as Buffer).text).to.equal('hi');
    }
    // Some write each part with its padding.
    const text = body.subarray(0, 4).toString('base64') + body.subarray(4).toString('base64');
    for (const type of ['application/grpc-web-text', 'application/grpc-web-text+proto']) {
      const { headers, frames, trailers } = await post(on, server, Many.path, { 'content-type': type }, text);
      expect(headers['content-type']).to.equal('application/grpc-web-text+proto');
      expect(frames.map(({ bytes }) => bytes.length)).to.deep.equal([3, 100_004, trailers.length]);
      expect(trailers).to.equal('grpc-status: 0\r\n');
    }
  });

  it('answers UNIMPLEMENTED, in so many words, where clients stream, for what is left out, and for what is unknown', async () => {
    const server = await serve(on, { one: () => ({}), upload: () => ({}), async *chat() {} });
    for (const [path, says] of [
      ['/spec.web.Everything/Upload', 'Browsers cannot stream requests'],
      ['/spec.web.Everything/Chat', 'Browsers cannot stream requests'],
      ['/spec.web.Everything/Many', 'does not implement the method /spec.web.Everything/Many'],
      ['/no.Such/Method', 'does not implement the method /no.Such/Method'],
    ] as const) {
      const { trailers } = await post(on, server, path, typed, frame(Buffer.alloc(0)));
      expect(trailers).to.include('grpc-status: 12').and.include(encodeURI(says));
    }
  });

  it('serves handlers of grpc-js: wrapped, plain, and by addService', async () => {
    const server = await startWeb(on, browser => {
      const unary = (call: any, callback: any) => {
        const trailer = new Metadata();
        trailer.set('x-peer', call.getPeer().replace(/\d+$/, ''));
        callback(null, { text: call.request.text }, trailer);
      };
      const stream = async (call: any) => {
        for (let num = 0; num < 500; num++)
          if (!call.write({ someCount: num })) await new Promise(resolve => call.once('drain', resolve));
        call.end();
      };
      mount(browser, service, { one: plain(unary as never), many: wrap(stream as never) } as never, quiet);
    });
    started.add(server);
    const unary = await post(on, server, One.path, typed, frame(One.requestSerialize({ text: 'plain' })));
    expect(unary.trailers).to.equal('grpc-status: 0\r\nx-peer: 127.0.0.1:\r\n');
    expect(One.responseDeserialize(unary.frames[0]?.bytes as Buffer).text).to.equal('plain');
    expect((await post(on, server, Many.path, typed, frame(Buffer.alloc(0)))).frames).to.have.length(501);
  });

  it('tells the peer, the host, both ends of the connection', async () => {
    const told: any = {};
    const methods = {
      one: (_: unknown, { peer, host, connectionInfo, deadline, kind, authContext }: Call) => {
        Object.assign(told, { peer, host, connectionInfo, deadline, kind, authContext });
        return {};
      },
    };
    const server = await serve(on, methods);
    await post(on, server, One.path, typed, frame(Buffer.alloc(0)));
    expect(told).to.deep.include({
      host: `127.0.0.1:${server.port}`,
      deadline: undefined,
      kind: 'unary',
      authContext: {},
    });
    expect(told.peer).to.match(/^127\.0\.0\.1:\d+$/);
    expect(told.connectionInfo).to.include({
      localAddress: '127.0.0.1',
      localPort: server.port,
      remoteAddress: '127.0.0.1',
    });
  });

  it('B4 tells the source of a client that left, at once', async () => {
    const left: number[] = [];
    let at = 0;
    const methods = {
      async *many(_: unknown, { signal }: Call) {
        try {
          yield {};
          await new Promise(resolve => signal.addEventListener('abort', resolve));
        } finally {
          left.push(performance.now() - at);
        }
      },
    };
    const server = await serve(on, methods);
    for (let round = 1; round <= 20; round++) {
      const call = rawPost(on, server.port, Many.path, typed, frame(Buffer.alloc(0)));
      const body = await call.body;
      await new Promise(resolve => body.once('data', resolve));
      at = performance.now();
      call.leave();
      await until('the source is released', () => left.length === round);
    }
    left.sort((a, b) => a - b);
    expect(left[10]).to.be.below(50);
  });

  it('B6 sends 300,000 messages without keeping them', async () => {
    const methods = {
      *many() {
        for (let num = 0; num < 300_000; num++) yield { text: 'some text' };
      },
    };
    const server = await serve(on, methods);
    const before = counters();
    const body = await rawPost(on, server.port, Many.path, typed, frame(Buffer.alloc(0))).body;
    let bytes = 0;
    let most = 0;
    for await (const chunk of body) {
      bytes += chunk.length;
      most = Math.max(most, process.memoryUsage().external);
    }
    expect(bytes).to.equal(300_000 * 16 + 'grpc-status: 0\r\n'.length + 5);
    expect(most).to.be.below(200e6);
    expect(counters()).to.deep.equal(before);
  });
}
