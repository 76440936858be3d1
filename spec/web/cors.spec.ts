import http2 from 'node:http2';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { mount } from '../../lib/index.ts';
import { type CorsOptions, web } from '../../lib/web/index.ts';
import { authority, serverCertificate, serverKey } from '../support/certificates.ts';
import { frame } from '../support/frames.ts';
import { quiet } from '../support/harness.ts';
import { rawPost, startWeb, type WebName, type WebServer, webNames } from '../support/web-client.ts';
import { everything } from '../support/web-service.ts';

const service = everything();
const { One, Many } = service;
const app = 'https://app.example.com';
const body = frame(Buffer.alloc(0));

let server: WebServer | undefined;
let calls = 0;

const methods = {
  one: (_: unknown, { header }: any) => {
    calls += 1;
    header.set('x-own', 'yes');
    return {};
  },
  many: () => {
    calls += 1;
    return [];
  },
};

async function ask(on: WebName, method: string, path: string, headers: Record<string, string>) {
  calls = 0;
  const all = { ...(method === 'POST' && { 'content-type': 'application/grpc-web+proto' }), ...headers };
  const sent = method === 'POST' ? body : undefined;
  const response = await rawPost(on, server?.port as number, path, all, sent, method).body;
  let text = '';
  for await (const chunk of response) text += chunk;
  return { status: response.status, headers: response.headers, text };
}

describe('web({ cors })', () => {
  afterEach(async () => {
    await server?.close();
    server = undefined;
  });
  for (const on of webNames) describe(on, () => guards(on));

  it('refuses what lets every page act for its reader, and what is no origin', () => {
    const given = (cors: unknown) => () => web({ cors: cors as CorsOptions });
    expect(given({ origins: '*', credentials: true })).to.throw(
      TypeError,
      'any page could act for its reader',
    );
    expect(given({ origins: [`${app}/`] })).to.throw(TypeError, '`cors.origins[0]` to be an origin');
    expect(given({ origins: ['app.example.com'] })).to.throw(TypeError, 'cors.origins[0]');
    expect(given({ origins: app })).to.throw(TypeError, "'*', a list of origins, or a function");
    expect(given({})).to.throw(TypeError, 'cors.origins');
    expect(given({ origins: [], credentials: 1 })).to.throw(TypeError, 'cors.credentials');
    const all = [app, 'http://localhost:5173', 'http://[::1]:5173', 'capacitor://localhost', 'null'];
    expect(given({ origins: all })).not.to.throw();
  });

  it('takes a page without TLS for another origin, where it has TLS itself', async () => {
    const browser = web();
    mount(browser, service, methods as never, quiet);
    const options = { key: serverKey, cert: serverCertificate, allowHTTP1: true };
    const secure = http2.createSecureServer(options, browser.handler).listen(0, '127.0.0.1');
    await new Promise(resolve => secure.once('listening', resolve));
    const { port } = secure.address() as AddressInfo;
    const session = http2.connect(`https://localhost:${port}`, { ca: authority });
    const byHttp2 = (origin: string) =>
      new Promise(resolve => {
        const stream = session.request({ ':path': Many.path, origin });
        stream.resume().once('response', head => resolve(head[':status']));
      });
    const byHttp1 = (origin: string) =>
      new Promise((resolve, reject) => {
        const to = {
          port,
          host: 'localhost',
          ca: authority,
          agent: false,
          path: Many.path,
          headers: { origin },
        };
        https.get(to, response => resolve(response.resume().statusCode)).once('error', reject);
      });
    for (const ask of [byHttp1, byHttp2]) {
      expect(await ask(`https://localhost:${port}`)).to.equal(200);
      expect(await ask(`http://localhost:${port}`)).to.equal(403);
    }
    session.close();
    await new Promise(resolve => secure.close(resolve));
  });

  it('refuses `null` with credentials, which any page can be by a sandboxed frame', () => {
    const given = (origins: CorsOptions['origins']) => () => web({ cors: { origins, credentials: true } });
    expect(given([app, 'null'])).to.throw(
      TypeError,
      'Expected `cors.origins[1]` to name an origin, as `cors.credentials` is set, got `null`',
    );
    expect(given([app])).not.to.throw();
    expect(given(() => true)).not.to.throw();
  });

  it('refuses what no page has as its origin, and says where a pattern goes', () => {
    const given = (origin: string) => () => web({ cors: { origins: [app, origin] } });
    for (const origin of ['https://*.example.com', '*', 'http://localhost:*', '*://a.example', 'https://*'])
      expect(given(origin), origin).to.throw(
        TypeError,
        `Expected \`cors.origins[1]\` to be one origin, got \`${origin}\`: patterns are for a function`,
      );
    for (const origin of [
      ...['https://{a,b}.example', "https://'a'.example", 'https://$host', 'https://a,b', 'app://(a)'],
      ...['ws://a.example', 'wss://a.example', 'ftp://a.example', 'https://a.example:443', 'NULL', ''],
    ])
      expect(given(origin), origin).to.throw(TypeError, '`cors.origins[1]` to be an origin such as');
  });
});

function guards(on: WebName): void {
  const start = async (cors?: CorsOptions) => {
    const options = cors ? { cors } : {};
    server = await startWeb(on, browser => mount(browser, service, methods as never, quiet), options);
    return server;
  };
  const preflight = {
    origin: app,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'content-type,x-grpc-web,x-own',
  };

  it('B5 answers the question of a page that may call, and lets it read what it is told', async () => {
    await start({ origins: [app], credentials: true, maxAgeMs: 60_000 });
    const asked = await ask(on, 'OPTIONS', One.path, preflight);
    expect(asked.status).to.equal(204);
    expect(asked.headers).to.include({
      'access-control-allow-origin': app,
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'GET, POST',
      'access-control-allow-headers': 'content-type,x-grpc-web,x-own',
      'access-control-max-age': '60',
      vary: 'Origin, Access-Control-Request-Headers',
    });
    const called = await ask(on, 'POST', One.path, { origin: app });
    expect(called.headers).to.include({ 'access-control-allow-origin': app, vary: 'Origin' });
    expect(called.headers['access-control-expose-headers']).to.equal(
      'grpc-status, grpc-message, grpc-status-details-bin, x-own',
    );
    expect(calls).to.equal(1);
    const refused = await ask(on, 'POST', One.path, { origin: app, 'content-type': 'text/plain' });
    expect(refused.status).to.equal(415);
    expect(refused.headers['access-control-allow-origin']).to.equal(app);
  });

  it('B5 serves nothing to other origins, and runs no method for them', async () => {
    await start({ origins: [app] });
    for (const origin of [
      'https://evil.example',
      'https://app.example.com.evil.example',
      'http://app.example.com',
      'null',
      `${app}:8443`,
    ]) {
      for (const [method, path] of [
        ['POST', One.path],
        ['GET', Many.path],
        ['OPTIONS', One.path],
      ] as const) {
        const { status, headers } = await ask(on, method, path, { ...preflight, origin });
        expect(status, `${method} ${origin}`).to.equal(403);
        expect(Object.keys(headers).filter(name => name.startsWith('access-control'))).to.deep.equal([]);
        expect(calls).to.equal(0);
      }
    }
  });

  it('B5 takes pages of its own host, and what is no page, whatever is said', async () => {
    const { port } = await start();
    for (const headers of [
      {},
      { origin: `http://127.0.0.1:${port}` },
      { origin: 'https://behind.proxy', 'sec-fetch-site': 'same-origin' },
    ]) {
      const { status, headers: told } = await ask(on, 'POST', One.path, headers);
      expect(status).to.equal(200);
      expect(calls).to.equal(1);
      expect(told).not.to.have.property('access-control-allow-origin');
    }
  });

  it('B5 runs no method for an image or a form of another site', async () => {
    await start({ origins: [app] });
    for (const site of ['cross-site', 'same-site']) {
      const { status } = await ask(on, 'GET', Many.path, { 'sec-fetch-site': site, accept: 'image/*' });
      expect({ status, calls }).to.deep.equal({ status: 403, calls: 0 });
    }
    expect((await ask(on, 'GET', Many.path, { 'sec-fetch-site': 'none' })).status).to.equal(200);
  });

  it('takes a page of the other scheme for another origin: named it may read, and else nothing runs', async () => {
    for (const origins of [[], ['http://h']]) {
      await start({ origins });
      const host = on === 'web over HTTP/2' ? ':authority' : 'host';
      for (const site of ['cross-site', 'same-site']) {
        const headers = { ...preflight, [host]: 'h', origin: 'http://h', 'sec-fetch-site': site };
        for (const [method, path, code] of [
          ['POST', One.path, 200],
          ['GET', Many.path, 200],
          ['OPTIONS', One.path, 204],
        ] as const) {
          const { status, headers: told } = await ask(on, method, path, headers);
          const may = origins.length > 0;
          expect(status, `${method} ${site} ${origins}`).to.equal(may ? code : 403);
          expect(told['access-control-allow-origin']).to.equal(may ? 'http://h' : undefined);
          expect(calls).to.equal(may && method !== 'OPTIONS' ? 1 : 0);
        }
      }
      await server?.close();
    }
    server = undefined;
  });

  it('takes a page of its host for its own where a browser does not say whence, but for one of an app', async () => {
    await start();
    const host = on === 'web over HTTP/2' ? ':authority' : 'host';
    // What is behind a proxy cannot know whether the page has TLS.
    for (const origin of ['http://h', 'https://h'])
      expect((await ask(on, 'POST', One.path, { [host]: 'h', origin })).status, origin).to.equal(200);
    for (const origin of ['capacitor://h', 'h', 'null', '', 'https://h:8443', 'https://h.evil'])
      expect((await ask(on, 'POST', One.path, { [host]: 'h', origin })).status, origin).to.equal(403);
  });

  it('does not ask a function about `null` where there are credentials', async () => {
    for (const credentials of [true, false]) {
      const asked: string[] = [];
      const origins = (origin: string) => asked.push(origin) > 0;
      await start({ origins, credentials });
      const { status } = await ask(on, 'GET', Many.path, { origin: 'null', 'sec-fetch-site': 'cross-site' });
      expect({ status, calls, asked }).to.deep.equal(
        credentials ? { status: 403, calls: 0, asked: [] } : { status: 200, calls: 1, asked: ['null'] },
      );
      await server?.close();
    }
    server = undefined;
  });

  it('tells caches that an answer is for one origin, whoever asked and whatever became of it', async () => {
    await start({ origins: [app] });
    for (const headers of [{}, { origin: app }, { origin: 'https://evil.example' }])
      for (const [method, path] of [
        ['POST', One.path],
        ['GET', Many.path],
        ['GET', One.path],
        ['PUT', One.path],
        ['GET', '/'],
      ] as const) {
        const told = await ask(on, method, path, headers);
        expect(told.headers.vary, `${method} ${path} ${JSON.stringify(headers)}`).to.equal('Origin');
        if (told.status !== 200) expect(told.headers['cache-control']).to.equal('no-store');
      }
    const ended = await ask(on, 'GET', Many.path, { 'last-event-id': 'leat:end' });
    expect(ended.status).to.equal(204);
    expect(ended.headers).to.include({ 'cache-control': 'no-store', vary: 'last-event-id, Origin' });
    await server?.close();
    await start();
    expect((await ask(on, 'GET', Many.path, {})).headers).not.to.have.property('vary');
    expect((await ask(on, 'GET', Many.path, { origin: app })).headers.vary).to.equal('Origin');
  });

  it('lets all read what anybody asked for, where all may: a cache has one answer', async () => {
    const { port } = await start({ origins: '*' });
    for (const headers of [{}, { origin: app }, { origin: `http://127.0.0.1:${port}` }]) {
      const told = (await ask(on, 'POST', One.path, headers)).headers;
      expect(told['access-control-allow-origin']).to.equal('*');
      expect(told).not.to.have.property('vary');
    }
  });

  it('B5 asks a function, and lets all in where that is said', async () => {
    await start({ origins: origin => origin.endsWith('.example.com') });
    expect(
      (await ask(on, 'POST', One.path, { origin: app })).headers['access-control-allow-origin'],
    ).to.equal(app);
    expect((await ask(on, 'POST', One.path, { origin: 'https://evil' })).status).to.equal(403);
    await server?.close();
    await start({ origins: '*' });
    const { status, headers } = await ask(on, 'POST', One.path, { origin: 'https://any.where' });
    expect(status).to.equal(200);
    expect(headers['access-control-allow-origin']).to.equal('*');
  });
}
