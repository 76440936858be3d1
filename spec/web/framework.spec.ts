import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { expect } from 'chai';
import { type Call, mount } from '../../lib/index.ts';
import { type WebOptions, type WebRequest, type WebResponse, web } from '../../lib/web/index.ts';
import { frame } from '../support/frames.ts';
import { quiet } from '../support/harness.ts';
import { rawPost, type WebName, webNames } from '../support/web-client.ts';
import { everything } from '../support/web-service.ts';

const service = everything();
const { One, Many } = service;
const page = 'https://app.example.com';
const events = { accept: 'text/event-stream' };
const json = { 'content-type': 'application/json' };
const grpcWeb = { 'content-type': 'application/grpc-web+proto' };
const empty = frame(Buffer.alloc(0));

const methods = {
  one: () => ({}),
  *many(_: unknown, { header, metadata, path }: Call) {
    const [asked] = metadata.get('x-set');
    for (const part of String(asked ?? '')
      .split(';')
      .filter(Boolean)) {
      const [name = '', value = ''] = part.split('=');
      header.add(name, value);
    }
    yield { text: path };
  },
};

type Handler = (request: WebRequest, response: WebResponse) => void;

let stop: (() => Promise<unknown>) | undefined;

/** A server as a framework has it: what others said comes before, what is handed on is answered by the app. */
async function serve(
  on: WebName,
  options: WebOptions = {},
  before: (response: WebResponse) => void = () => {},
) {
  const browser = web(options);
  mount(browser, service, methods as never, quiet);
  const handler: Handler = (request, response) => {
    before(response);
    browser.handler(request, response, () => {
      response.statusCode = 299;
      (response as http.ServerResponse).end('app');
    });
  };
  const server = on === 'web over HTTP/2' ? http2.createServer(handler) : http.createServer(handler);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  stop = () => new Promise(resolve => server.close(resolve));
  const { port } = server.address() as AddressInfo;
  const ask = async (method: string, path: string, headers: Record<string, string>) => {
    const sent =
      method !== 'POST' ? undefined : headers['content-type'] === json['content-type'] ? '{}' : empty;
    const response = await rawPost(on, port, path, headers, sent, method).body;
    let text = '';
    for await (const chunk of response) text += chunk;
    return { status: response.status, headers: response.headers, text };
  };
  return { port, ask };
}

/** Bytes as they are written, until the server closes. */
async function written(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(text);
  let answer = '';
  for await (const chunk of socket) answer += chunk;
  return answer;
}

describe('web(), in a framework', () => {
  afterEach(async () => {
    await stop?.();
    stop = undefined;
  });
  for (const on of webNames) describe(on, () => stands(on));

  it('takes a target with its host, as a proxy is sent, and that host for the one that is asked', async () => {
    const { port } = await serve('web over HTTP/1.1');
    const ask = (target: string, headers = '') =>
      written(port, `GET ${target} HTTP/1.1\r\nhost: other\r\nconnection: close\r\n${headers}\r\n`);
    for (const scheme of ['http', 'HTTPS'])
      expect(await ask(`${scheme}://h:80${Many.path}?text=x`)).to.include(`{"text":"${Many.path}"}`);
    expect(await ask(`http://h${Many.path}`, 'origin: http://h\r\n')).to.match(/^HTTP\/1.1 200 /);
    expect(await ask(`http://h${Many.path}`, 'origin: http://other\r\n')).to.match(/^HTTP\/1.1 403 /);
    for (const target of ['http://h', 'http://h?x', `//h${Many.path}`])
      expect(await ask(target), target).to.match(/^HTTP\/1.1 299 /);
  });

  it('refuses a header `trailer`, at which HTTP/1.0 would lose all others', async () => {
    const { port } = await serve('web over HTTP/1.1', { cors: { origins: [page] } });
    const answer = await written(
      port,
      `GET ${Many.path} HTTP/1.0\r\norigin: ${page}\r\nx-set: trailer=x\r\n\r\n`,
    );
    expect(answer).to.include('content-type: text/event-stream').and.include(`allow-origin: ${page}`);
    expect(answer).to.include('"code":2,');
  });
});

function stands(on: WebName): void {
  const unknown = '/spec.web.Everything/Unknown';

  it('leaves the streams and the JSON of the app to the app, whatever they accept', async () => {
    const { ask } = await serve(on, { cors: { origins: [page] } });
    for (const path of ['/my/own/events', '/events', '/', '/spec.web.Everything', '/spec.web.Every/Many'])
      for (const [method, headers] of [
        ['GET', events],
        ['GET', { ...events, 'last-event-id': 'leat:end' }],
        ['POST', { ...json, accept: 'application/json, text/event-stream' }],
        ['OPTIONS', { origin: page, 'access-control-request-method': 'POST' }],
      ] as const)
        expect(await ask(method, path, headers), `${method} ${path}`).to.include({
          status: 299,
          text: 'app',
        });
  });

  it('answers what its own services do not have to who takes events, and hands on what asks for others', async () => {
    const { ask } = await serve(on);
    for (const [method, headers] of [
      ['GET', {}],
      ['POST', json],
    ] as const) {
      for (const accept of [
        'text/event-stream',
        'application/json, text/event-stream',
        'Text/Event-Stream; charset=utf-8; q=0.01',
        'text/event-stream;q=1.0',
      ])
        expect((await ask(method, unknown, { ...headers, accept })).text, accept).to.include('"code":12,');
      for (const accept of [
        'text/event-stream;q=0',
        'application/json, text/event-stream ; Q=0.000',
        'text/event-stream-of-another',
        'x-text/event-stream',
        '*/*',
      ])
        expect((await ask(method, unknown, { ...headers, accept })).status, accept).to.equal(299);
    }
  });

  it('answers the preflight of whatever it answers, so that a page of another origin reads UNIMPLEMENTED', async () => {
    const preflight = { origin: page, 'access-control-request-method': 'POST' };
    const names = 'access-control-request-headers';
    const { ask } = await serve(on, { cors: { origins: [page] } });
    for (const [path, asked] of [
      [unknown, 'content-type,x-grpc-web'],
      ['/no.Such/Method', 'content-type, X-Grpc-Web, x-user-agent'],
      [unknown, 'content-type'],
      [One.path, 'content-type'],
    ] as const) {
      const { status, headers } = await ask('OPTIONS', path, { ...preflight, [names]: asked });
      expect(status, path).to.equal(204);
      expect(headers).to.include({
        'access-control-allow-origin': page,
        'access-control-allow-headers': asked,
      });
    }
    const called = await ask('POST', '/no.Such/Method', { ...grpcWeb, origin: page });
    expect(called.headers['access-control-allow-origin']).to.equal(page);
    expect(called.text).to.include('grpc-status: 12');
    const other = { ...preflight, [names]: 'x-grpc-web', origin: 'https://evil.example' };
    expect((await ask('OPTIONS', '/no.Such/Method', other)).status).to.equal(403);
    const apps = { ...preflight, [names]: 'content-type, x-grpc-webber' };
    expect((await ask('OPTIONS', '/no.Such/Method', apps)).status).to.equal(299);
    await stop?.();
    const without = await serve(on);
    const asked = { ...preflight, [names]: 'x-grpc-web' };
    expect((await without.ask('OPTIONS', '/no.Such/Method', asked)).status).to.equal(299);
  });

  it('adds to lists of headers that others began', async () => {
    const { ask } = await serve(on, { cors: { origins: [page] } }, response => {
      response.setHeader('Vary', 'Accept-Encoding, origin');
      response.setHeader('Set-Cookie', ['a=1', 'b=2']);
      response.setHeader('Access-Control-Expose-Headers', 'x-app');
    });
    const set = {
      'x-set': 'vary=cookie;vary=accept-encoding;set-cookie=c:3;link=</a>;x-own=1',
      origin: page,
    };
    const { headers } = await ask('GET', Many.path, set);
    expect(headers.vary).to.equal('Accept-Encoding, origin, cookie');
    expect(headers['set-cookie']).to.deep.equal(['a=1', 'b=2', 'c:3']);
    expect(headers['access-control-expose-headers']).to.match(/^x-app, grpc-status, .*x-own$/);
    for (const [method, path, more] of [
      ['POST', One.path, grpcWeb],
      ['POST', One.path, json],
      ['GET', One.path, events],
      ['OPTIONS', One.path, { 'access-control-request-method': 'POST' }],
      ['GET', Many.path, { origin: 'https://evil.example' }],
    ] as const) {
      const told = (await ask(method, path, { origin: page, ...more })).headers;
      expect(told.vary, `${method} ${path}`).to.match(
        /^Accept-Encoding, origin(, Access-Control-Request-Headers)?$/,
      );
      expect(told['set-cookie']).to.deep.equal(['a=1', 'b=2']);
    }
    await stop?.();
    const star = await serve(on, {}, response => response.setHeader('vary', '*'));
    expect((await star.ask('GET', Many.path, { 'x-set': 'vary=cookie' })).headers.vary).to.equal('*');
  });
}
