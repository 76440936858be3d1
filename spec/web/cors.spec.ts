import { expect } from 'chai';
import { mount } from '../../lib/index.ts';
import { type CorsOptions, web } from '../../lib/web/index.ts';
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
    expect(given({ origins: [app, 'http://localhost:5173', 'capacitor://localhost'] })).not.to.throw();
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
