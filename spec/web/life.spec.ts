import http from 'node:http';
import { Server, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { drain, drainOn, mount } from '../../lib/index.ts';
import { type Browser, web } from '../../lib/web/index.ts';
import { limits } from '../../middleware/limits.ts';
import { type AnySource, definition, path, quiet, start, stopAll, turn, until } from '../support/harness.ts';
import { ways } from '../support/ways.ts';
import { rawPost, startWeb, type WebName, webNames } from '../support/web-client.ts';
import { serveWeb, stopWeb } from '../support/web-serve.ts';

const parked: AnySource = ways.parked;

describe('web()', () => {
  afterEach(() => Promise.all([stopAll(), stopWeb()]));
  for (const on of webNames) describe(on, () => lives(on));

  it('is refused with what is no server, and with none at all', () => {
    expect(() => mount({} as never, definition, {})).to.throw(TypeError, '`server` to be a grpc.Server');
    expect(() => mount([web(), 1 as never], definition, {})).to.throw(
      TypeError,
      '`server` to be a grpc.Server',
    );
    expect(() => mount([], definition, {})).to.throw(TypeError, 'got none');
    expect(() => drain([web(), {} as never])).to.throw(TypeError, '`server` to be a grpc.Server');
    const browser = web();
    mount(browser, definition, {});
    mount(browser, definition, { stream: () => [] });
    expect(() => mount(browser, definition, { stream: () => [] })).to.throw(
      'mounted once, got `/spec.Service/Stream` again',
    );
    expect(() => browser.addService(definition, { stream: 1 as never })).to.throw();
  });

  it('hands on to `next` what is none of its own, and answers the rest', async () => {
    const browser = web();
    mount(browser, definition, { stream: () => ['x'] }, quiet);
    const app = http.createServer((request, response) =>
      browser.handler(request, response, () => response.end('next')),
    );
    await new Promise<void>(resolve => app.listen(0, '127.0.0.1', resolve));
    const base = `http://127.0.0.1:${(app.address() as { port: number }).port}`;
    const ask = async (path: string, init: RequestInit) => (await fetch(base + path, init)).text();
    const json = { 'content-type': 'application/json' };
    for (const [at, init] of [
      ['/', {}],
      [path, { method: 'PUT' }],
      [path, { method: 'POST', body: 'x' }],
      ['/other', { method: 'POST', headers: json, body: '{}' }],
      ['/other', { method: 'OPTIONS' }],
      [path, { method: 'HEAD' }],
    ] as [string, RequestInit][])
      expect(await ask(at, init), at).to.equal(init.method === 'HEAD' ? '' : 'next');
    const web1 = { 'content-type': 'application/grpc-web' };
    expect(await ask('/other/Method', { method: 'POST', headers: web1, body: '' })).to.include(
      'grpc-status: 12',
    );
    app.closeAllConnections();
    app.close();
  });

  it('takes a body that a framework has read', async () => {
    const browser = web({ json: () => ({ fromJson: json => json, toJson: message => message }) });
    mount(browser, definition, { stream: request => [request] }, quiet);
    const app = http.createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = Buffer.concat(chunks);
      const isJson = request.headers['content-type'] === 'application/json';
      Object.assign(request, { body: isJson ? JSON.parse(String(body)) : body });
      browser.handler(request, response);
    });
    await new Promise<void>(resolve => app.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(app.address() as { port: number }).port}${path}`;
    const ask = async (type: string, body: string) =>
      (await fetch(url, { method: 'POST', headers: { 'content-type': type }, body })).text();
    expect(await ask('application/json', '{"a":1}')).to.include('data: {"a":1}\n\n');
    expect(await ask('application/grpc-web', '\0\0\0\0\x07{"a":1}'))
      .to.include('{"a":1}')
      .and.include('grpc-status: 0');
    const encoded = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
    const inflated = await fetch(url, { method: 'POST', headers: encoded, body: '{"a":1}' });
    expect(inflated.status, 'whoever parsed it has inflated it').to.equal(200);
    app.closeAllConnections();
    app.close();
  });

  it('says at once that somebody has read a body and left nothing, which a GET does without', async () => {
    const browser = web({ json: () => ({ fromJson: json => json, toJson: message => message }) });
    let ran = 0;
    mount(browser, definition, { stream: request => [{ ran: ++ran, request }] }, quiet);
    let reads: (request: http.IncomingMessage) => Promise<unknown> = async () => {};
    const app = http.createServer(async (request, response) => {
      await reads(request);
      browser.handler(request, response);
    });
    await new Promise<void>(resolve => app.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(app.address() as { port: number }).port}${path}`;
    const post = (type: string) =>
      fetch(url, { method: 'POST', headers: { 'content-type': type }, body: '{"a":1}' });
    const toItsEnd = async (request: http.IncomingMessage) => {
      for await (const _ of request);
    };
    const apart = (request: http.IncomingMessage) =>
      new Promise<void>(resolve => {
        request.once('data', () => {
          request.pause();
          resolve();
        });
      });
    for (reads of [toItsEnd, apart]) {
      const json = await post('application/json');
      expect(json.status).to.equal(500);
      expect(await json.json()).to.include({
        code: 13,
        message: 'The request was read by somebody else before',
      });
      expect(await (await post('application/grpc-web')).text())
        .to.include('grpc-status: 13')
        .and.include('read%20by%20somebody%20else');
    }
    expect(ran).to.equal(0);
    reads = toItsEnd;
    expect(await (await fetch(`${url}?a=1`)).text()).to.include('data: {"ran":1,"request":{"a":"1"}}');
    app.closeAllConnections();
    app.close();
  });

  it('is mounted together with a server, and what it has in common with that counts together', async () => {
    let browser: Browser | undefined;
    const middleware = [quiet, limits({ maxStreams: 2 })];
    const running = await startWeb('web over HTTP/2', made => {
      browser = made;
    });
    const grpc = await start(server =>
      mount([server, browser as Browser], definition, { stream: parked }, ...middleware),
    );
    const one = grpc.open();
    await new Promise(resolve => one.stream.once('data', resolve));
    const open = () =>
      rawPost(
        'web over HTTP/2',
        running.port,
        path,
        { 'content-type': 'application/grpc-web' },
        '\0\0\0\0\x02{}',
      );
    const two = open();
    const body = await two.body;
    await new Promise(resolve => body.once('data', resolve));
    let text = '';
    for await (const chunk of await open().body) text += chunk;
    expect(text).to.include('grpc-status: 8').and.include('too%20many%20streams');
    expect((await grpc.call()).code).to.equal(status.RESOURCE_EXHAUSTED);
    two.leave();
    one.cancel();
    await running.close();
  });

  it('B7 drains alone, without the server beside it, and the other way round', async () => {
    for (const first of ['browser', 'server'] as const) {
      let browser: Browser | undefined;
      const running = await startWeb('web over HTTP/1.1', made => {
        browser = made;
      });
      const grpc = await start(server =>
        mount([server, browser as Browser], definition, { stream: parked }, quiet),
      );
      const call = grpc.open();
      await new Promise(resolve => call.stream.once('data', resolve));
      const page = rawPost(
        'web over HTTP/1.1',
        running.port,
        path,
        { 'content-type': 'application/grpc-web' },
        '\0\0\0\0\x02{}',
      );
      let text = '';
      const body = await page.body;
      body.on('data', chunk => {
        text += chunk;
      });
      await until('the page has a message', () => text.includes('first'));
      let ended = false;
      void call.reply.then(() => {
        ended = true;
      });
      await drain(first === 'browser' ? (browser as Browser) : grpc.server, { graceMs: 50 });
      await turn();
      expect(ended).to.equal(first === 'server');
      expect(text.includes('grpc-status: 14')).to.equal(first === 'browser');
      page.leave();
      call.cancel();
      await running.close();
    }
  });

  it('B7 drains several at once, once, and on a signal', async () => {
    const [browser, server] = [web(), new Server()];
    const undo = drainOn([server, browser], { signals: ['SIGUSR2'] });
    expect(process.listenerCount('SIGUSR2')).to.equal(1);
    await drain([server, browser]);
    await drain(browser);
    await turn();
    expect(process.listenerCount('SIGUSR2')).to.equal(0);
    undo();
  });
});

function lives(on: WebName): void {
  it('B7 is drained: those in it are told to come back, those that come are refused, and none stays', async () => {
    const left: string[] = [];
    const { browser, open, call } = await serveWeb(on, async function* (request, call) {
      try {
        yield* ways[request.way as keyof typeof ways](request, call) as AsyncIterable<unknown>;
      } finally {
        left.push(request.way);
      }
    });
    const names = ['parked', 'busy', 'idle', 'stalled'];
    const calls = names.map(way => open({ way }, { paused: way === 'stalled' }));
    await Promise.all(calls.map(({ stream }) => new Promise(resolve => stream.once('data', resolve))));
    calls[3]?.stream.pause();
    const drained = drain(browser, { graceMs: 100, retryMs: 5 });
    const late = await call({ way: 'parked' });
    expect({ code: late.code, details: late.details }).to.deep.equal({
      code: 14,
      details: 'the server is shutting down',
    });
    await drained;
    expect(left.sort()).to.deep.equal(['busy', 'idle', 'parked', 'stalled']);
    for (const { reply } of calls.slice(0, 3)) {
      const { code, details, trailer } = await reply;
      expect({ code, details }).to.deep.equal({ code: 14, details: 'the server is shutting down' });
      expect(trailer.get('grpc-retry-pushback-ms')).to.deep.equal(['5']);
    }
    expect((await call({ way: 'parked' })).code).to.equal(14);
  });

  it('B7 counts streams per peer, and gives slots back', async () => {
    let closed = 0;
    const heard = () => ({
      end() {
        closed += 1;
      },
    });
    const server = await serveWeb(on, parked, [limits({ maxStreamsPerPeer: 2 }), heard]);
    const open = async () => {
      const call = server.open();
      await new Promise(resolve => call.stream.once('data', resolve));
      return call;
    };
    const [first] = [await open(), await open()];
    expect((await server.call()).code).to.equal(status.RESOURCE_EXHAUSTED);
    first?.cancel();
    await until('one has left', () => closed === 1);
    await open();
  });

  it('uses a connection of HTTP/1.1 for one stream, so that browsers which leave it close it at once', async () => {
    const unary = { ...definition.stream, path: '/spec.Service/Unary', responseStream: false };
    const methods = { stream: () => ['x'], unary: () => 'x' };
    const json = () => ({ fromJson: (json: unknown) => json, toJson: (message: unknown) => message });
    const isFirst = on === 'web over HTTP/1.1';
    const served = await startWeb(
      on,
      browser => mount(browser, { ...definition, unary }, methods as never, quiet),
      { json },
    );
    const connectionAfter = async (at: string, type: string, request: string) => {
      const headers = { 'content-type': type, ...(isFirst && { connection: 'keep-alive' }) };
      const body = await rawPost(on, served.port, at, headers, request).body;
      let text = '';
      for await (const chunk of body) text += chunk;
      expect(text).to.include('"x"');
      return body.headers.connection;
    };
    const [close, keep] = isFirst ? ['close', 'keep-alive'] : [];
    try {
      for (const [type, request] of [
        ['application/json', '{}'],
        ['application/grpc-web', '\0\0\0\0\x02{}'],
      ] as const) {
        expect(await connectionAfter(path, type, request)).to.equal(close);
        expect(await connectionAfter(unary.path, type, request)).to.equal(keep);
      }
    } finally {
      await served.close();
    }
  });

  it('B3 stops a source whose reader is paused, and goes on with it', async () => {
    let pulled = 0;
    const server = await serveWeb(on, function* () {
      for (; pulled < 30_000; pulled++) yield 'x'.repeat(1000);
    });
    const { stream, reply } = server.open({}, { paused: true });
    let got = 0;
    stream.on('data', () => {
      got += 1;
    });
    await until('a message came', () => got > 0);
    stream.pause();
    let [still, looks] = [-1, 0];
    await until('the source stands still', () => {
      looks = still === pulled ? looks + 1 : 0;
      still = pulled;
      return looks > 20;
    });
    for (let turns = 0; turns < 20; turns++) await new Promise(resolve => setTimeout(resolve, 2));
    expect(pulled).to.equal(still);
    // Over HTTP/1.1 there is no window but that of the kernel, which takes megabytes.
    expect(pulled).to.be.below(on === 'web over HTTP/2' ? 400 : 20_000);
    stream.resume();
    expect((await reply).code).to.equal(0);
    expect(got).to.equal(30_000);
  });

  it('lets others run while a source that never waits is sent', async () => {
    let [pulled, seen, longest] = [0, 0, 0];
    let over = false;
    const look = () => {
      longest = Math.max(longest, pulled - seen);
      seen = pulled;
      if (!over) setImmediate(look);
    };
    const server = await serveWeb(on, function* () {
      for (; pulled < 50_000; pulled++) yield pulled;
    });
    setImmediate(look);
    await server.call();
    over = true;
    expect(longest).to.be.at.most(256 * 9);
  });

  it('ends with what the client is told when it takes nothing more', async () => {
    let ended = false;
    const heard = () => ({
      end() {
        ended = true;
      },
    });
    const server = await serveWeb(on, ways.stalled, [heard, limits({ maxStallMs: 50 })]);
    const { stream, reply } = server.open({}, { paused: true });
    await new Promise(resolve => stream.once('data', resolve));
    stream.pause();
    await until('the call was ended', () => ended);
    stream.on('data', () => {});
    stream.resume();
    const { code } = await reply;
    expect([status.ABORTED, status.UNAVAILABLE]).to.include(code);
  });
}
