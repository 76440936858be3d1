import { connect } from 'node:net';
import { expect } from 'chai';
import { type Call, mount } from '../../lib/index.ts';
import { connectRaw, frame, framesOf } from '../support/frames.ts';
import { quiet, turn, until } from '../support/harness.ts';
import { rawPost, startWeb, type WebName, type WebServer, webNames } from '../support/web-client.ts';
import { everything } from '../support/web-service.ts';

const service = everything();
const { One, Many } = service;
const typed = { 'content-type': 'application/grpc-web+proto' };
const empty = frame(Buffer.alloc(0));

let server: WebServer | undefined;
let calls = 0;

const methods = {
  one: () => {
    calls += 1;
    return {};
  },
  *many(_: unknown, { trailer }: Call) {
    calls += 1;
    trailer.set('x-tail', 'end');
    yield { text: 'a\r\nb\n\nevent: forged\ndata: x' };
  },
};

async function ask(
  on: WebName,
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: Buffer | string,
) {
  calls = 0;
  const response = await rawPost(on, server?.port as number, path, headers, body, method).body;
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  return { status: response.status, headers: response.headers, bytes, text: bytes.toString() };
}

/** The code and the details of the status that comes by gRPC-Web. */
function saidBy({ bytes }: { bytes: Buffer }): string {
  const { frames, left } = framesOf(bytes);
  expect(left.length).to.equal(0);
  const trailers = frames.at(-1)?.bytes.toString('latin1') ?? '';
  expect(frames.filter(({ flags }) => flags === 0x80)).to.have.length(1);
  const [, code = ''] = /grpc-status: (\d+)/.exec(trailers) ?? [];
  const [, message = ''] = /grpc-message: (.*)/.exec(trailers) ?? [];
  return `${code} ${decodeURIComponent(message)}`;
}

describe('web(), asked by anybody', () => {
  afterEach(async () => {
    await server?.close();
    server = undefined;
  });
  for (const on of webNames) describe(on, () => withstands(on));
});

function withstands(on: WebName): void {
  const start = async (options = {}) => {
    server = await startWeb(on, browser => mount(browser, service, methods as never, quiet), options);
    return server;
  };

  const malformed: Record<string, [headers: Record<string, string>, body: Buffer | string, says: string]> = {
    'no message': [{}, '', '12 Expected a request with one message, got none'],
    'two messages': [{}, Buffer.concat([empty, empty]), '12 Expected a request with one message, got more'],
    'a part of a prefix': [
      {},
      empty.subarray(0, 3),
      '3 Expected a request with one message, got a part of it, 3 bytes',
    ],
    'a part of a message': [
      {},
      frame(Buffer.alloc(9)).subarray(0, 12),
      '3 Expected a request with one message, got a part',
    ],
    'what is no message': [{}, frame(Buffer.from([0xff])), '13 Error deserializing request'],
    'a compressed message': [{}, frame(Buffer.alloc(0), 1), '13 Received compressed message'],
    'trailers of a client': [{}, frame(Buffer.alloc(0), 0x80), '13 Received a frame with unknown flags: 128'],
    'a length beyond the limit': [
      {},
      Buffer.from([0, 255, 255, 255, 255]),
      '8 Received a message of 4294967295 bytes',
    ],
    'an encoding': [{ 'grpc-encoding': 'gzip' }, empty, '12 Unsupported message encoding "gzip"'],
    'a timeout that is none': [{ 'grpc-timeout': '1 day' }, empty, '13 Invalid grpc-timeout value "1 day"'],
    'text that is no base64': [
      { 'content-type': 'application/grpc-web-text' },
      '%%%%',
      '3 Expected a request in base64',
    ],
    'text that ends within a byte': [
      { 'content-type': 'application/grpc-web-text' },
      'AAAAAAA=A',
      '3 Expected a request in base64',
    ],
    'text in parts that are none': [
      { 'content-type': 'application/grpc-web-text' },
      'A='.repeat(1000),
      '3 Expected a request in base64',
    ],
    'text with half of its padding': [
      { 'content-type': 'application/grpc-web-text' },
      'AA=AAAAA',
      '3 Expected a request in base64',
    ],
    'two messages as text': [
      { 'content-type': 'application/grpc-web-text' },
      'AA=='.repeat(10),
      '12 Expected a request with one message, got more',
    ],
  };
  for (const [what, [headers, body, says]] of Object.entries(malformed))
    it(`B6 answers ${what} with one status, and no method hears of it`, async () => {
      await start();
      const reply = await ask(on, 'POST', One.path, { ...typed, ...headers }, body);
      expect(reply.status).to.equal(200);
      const bytes = headers['content-type'] ? Buffer.from(reply.text, 'base64') : reply.bytes;
      expect(saidBy({ bytes })).to.include(says);
      expect(calls).to.equal(0);
      if (what === 'an encoding') expect(reply.headers['grpc-accept-encoding']).to.equal('identity');
    });

  const foreign: [method: string, path: string, headers: Record<string, string>, code: number][] = [
    ['POST', One.path, { 'content-type': 'application/grpc-web+json' }, 415],
    ['POST', One.path, { 'content-type': 'application/grpc-web+thrift' }, 415],
    ['POST', One.path, { 'content-type': 'application/grpc-webber' }, 415],
    ['POST', One.path, { 'content-type': 'application/grpc' }, 415],
    ['POST', One.path, { 'content-type': 'text/plain' }, 415],
    ['POST', One.path, {}, 415],
    ['POST', '/elsewhere', { 'content-type': 'text/plain' }, 404],
    ['PUT', One.path, typed, 405],
    ['DELETE', One.path, {}, 405],
    ['HEAD', Many.path, {}, 405],
    ['GET', One.path, {}, 405],
    ['GET', '/', { accept: 'text/html' }, 404],
    ['GET', '/__proto__', {}, 404],
  ];
  it('B6 answers 404, 405 and 415 for what is none of ours', async () => {
    await start();
    for (const [method, path, headers, code] of foreign) {
      const reply = await ask(on, method, path, headers, method === 'POST' ? empty : undefined);
      expect(reply.status, `${method} ${path} ${headers['content-type']}`).to.equal(code);
      if (code === 405) expect(reply.headers.allow).to.include('POST');
      expect(calls).to.equal(0);
    }
  });

  it('B6 refuses a body beyond the limit, with and without its length, and lets go of it', async () => {
    await start({ maxRequestBytes: 1000 });
    const large = frame(Buffer.alloc(2000));
    for (const headers of [{ 'content-length': String(large.length) }, {}]) {
      const reply = await ask(on, 'POST', One.path, { ...typed, ...headers }, large);
      expect(saidBy(reply)).to.include('8 Received a message of more than 1000 bytes');
    }
    for (const text of [large.toString('base64'), 'AAAA'.repeat(400)]) {
      const reply = await ask(on, 'POST', One.path, { 'content-type': 'application/grpc-web-text' }, text);
      const bytes = Buffer.from(reply.text, 'base64');
      expect(saidBy({ bytes })).to.include('8 Received a message of more than 1000 bytes');
    }
    const json = await ask(
      on,
      'POST',
      Many.path,
      { 'content-type': 'application/json' },
      JSON.stringify({ text: 'x'.repeat(2000) }),
    );
    expect(json.status).to.equal(413);
    expect(calls).to.equal(0);
    const fits = await ask(
      on,
      'POST',
      One.path,
      typed,
      frame(One.requestSerialize({ text: 'x'.repeat(990) })),
    );
    expect(saidBy(fits)).to.equal('0 ');
  });

  it('B6 answers 415 to a body that was compressed, and takes what says that it was not', async () => {
    await start();
    const ways: [type: string, path: string, body: Buffer | string][] = [
      ['application/grpc-web', One.path, empty],
      ['application/grpc-web-text', One.path, empty.toString('base64')],
      ['application/json', Many.path, '{}'],
    ];
    for (const [type, path, body] of ways) {
      for (const encoding of ['gzip', 'br', 'x-gzip', 'identity, gzip', 'GZIP', 'identitygzip']) {
        const headers = { 'content-type': type, 'content-encoding': encoding };
        const reply = await ask(on, 'POST', path, headers, body);
        expect(reply.status, `${type} ${encoding}`).to.equal(415);
        expect(reply.headers['accept-encoding']).to.equal('identity');
        expect(JSON.parse(reply.text).message).to.include('without a content-encoding');
        expect(calls).to.equal(0);
      }
      for (const encoding of ['identity', 'Identity', '', 'identity, identity']) {
        const headers = { 'content-type': type, 'content-encoding': encoding };
        expect((await ask(on, 'POST', path, headers, body)).status, `${type} ${encoding}`).to.equal(200);
        expect(calls).to.equal(1);
      }
    }
    const get = await ask(on, 'GET', Many.path, { 'content-encoding': 'gzip' });
    expect(get.status).to.equal(200);
  });

  // Of HTTP/2 one stream closes, and nothing that others send.
  const overHttp1 = on === 'web over HTTP/1.1' ? it : () => {};
  overHttp1('B6 lets a client that sends too much read why, while it goes on sending', async () => {
    const { port } = await start({ maxRequestBytes: 1000 });
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const errors: string[] = [];
    socket.on('error', error => errors.push(String(error)));
    socket.write(
      `POST ${One.path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc-web\r\ncontent-length: 1000000\r\n\r\n`,
    );
    let text = '';
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) text += chunk;
    expect(text).to.include('grpc-status: 8').and.include('connection: close');
    for (let piece = 0; piece < 10; piece++) {
      socket.write(Buffer.alloc(10_000));
      for (let turns = 0; turns < 10; turns++) await turn();
    }
    expect(errors).to.deep.equal([]);
    const closed = new Promise(resolve => socket.on('close', resolve));
    socket.end();
    await closed;
    expect(errors).to.deep.equal([]);
  });

  it('B6 ends a body that does not come: at its deadline, and after requestTimeoutMs', async () => {
    const { port } = await start({ requestTimeoutMs: 100 });
    calls = 0;
    for (const timeout of ['50m', undefined]) {
      if (on === 'web over HTTP/2') {
        const session = connectRaw(port);
        const headers = { ...typed, ...(timeout && { 'grpc-timeout': timeout }) };
        const stream = session.request({ ':method': 'POST', ':path': One.path, ...headers });
        stream.write('abc');
        const chunks: Buffer[] = [];
        for await (const chunk of stream) chunks.push(chunk);
        expect(saidBy({ bytes: Buffer.concat(chunks) })).to.equal('4 The request did not arrive in time');
        session.close();
        continue;
      }
      const socket = connect(port, '127.0.0.1');
      const header = timeout ? `grpc-timeout: ${timeout}\r\n` : '';
      socket.write(
        `POST ${One.path} HTTP/1.1\r\nhost: a\r\n${header}content-type: application/grpc-web\r\ncontent-length: 100\r\n\r\nabc`,
      );
      let text = '';
      for await (const chunk of socket) text += chunk;
      expect(text).to.include('grpc-status: 4').and.include('connection: close');
    }
    expect(calls).to.equal(0);
  });

  it('B6 forgets a body whose client left', async () => {
    const { browser, port } = await start();
    const call = rawPost(on, port, One.path, { ...typed, 'content-length': '100' });
    call.body.catch(() => {});
    await turn();
    call.disconnect();
    let closed = false;
    await new Promise(resolve => setTimeout(resolve, 10));
    browser.tryShutdown(() => {
      closed = true;
    });
    await until('nothing is open', () => closed);
  });

  it('B6 has no line in an event that a message brought', async () => {
    await start({ token: ({ text }: { text: string }) => `${text.length}` });
    const { text } = await ask(on, 'GET', Many.path, { accept: 'text/event-stream' });
    const lines = text.split('\n').filter(line => line !== '' && !line.startsWith('retry: '));
    expect(lines).to.deep.equal([
      `id: 27`,
      `data: {"text":"a\\r\\nb\\n\\nevent: forged\\ndata: x"}`,
      'id: leat:end',
      'event: status',
      'data: {"code":0,"status":"OK","message":"","trailers":{"x-tail":"end"}}',
    ]);
    expect(text).to.not.include('\r');
  });

  it('B6 ends with INTERNAL when a token would break an event, or could not come back', async () => {
    for (const token of [
      'a\nid: b',
      'a\rb',
      ' x',
      '',
      'ü',
      'leat:end',
      {},
      Number.NaN,
      null,
      'x'.repeat(9000),
    ]) {
      await start({ token: () => token });
      const { text } = await ask(on, 'GET', Many.path, { accept: 'text/event-stream' });
      expect(text, String(token)).to.match(
        /^retry: \d+\n\nid: leat:end\nevent: status\ndata: \{"code":13,.*\}\n\n$/,
      );
      await server?.close();
    }
  });
}
