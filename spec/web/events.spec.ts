import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { broadcast, type Call, mount, StatusError, wrap } from '../../lib/index.ts';
import { withJson } from '../../lib/json.ts';
import { topic } from '../../lib/sources/index.ts';
import type { WebOptions } from '../../lib/web/index.ts';
import { TestEventSource } from '../support/event-source.ts';
import { definition, quiet, turn, until } from '../support/harness.ts';
import { rawPost, startWeb, type WebName, type WebServer, webNames } from '../support/web-client.ts';
import { everything } from '../support/web-service.ts';

const service = everything({ longs: String });
const { One, Look, Many } = service;
const started = new Set<WebServer>();

interface Told {
  id?: string;
  event?: string;
  data?: string;
  retry?: string;
}

/** The events in a text, comments left out. */
function eventsIn(text: string): Told[] {
  return text
    .split('\n\n')
    .map(block =>
      Object.fromEntries(
        block.split('\n').flatMap(line => (/^\w/.test(line) ? [line.split(/: (.*)/s).slice(0, 2)] : [])),
      ),
    )
    .filter(event => Object.keys(event).length > 0);
}

describe('web(), by Server-Sent Events', () => {
  afterEach(async () => {
    await Promise.all([...started].map(one => one.close()));
    started.clear();
  });
  for (const on of webNames) describe(on, () => tells(on));
});

function tells(on: WebName): void {
  async function serve(methods: object, options: WebOptions = {}): Promise<WebServer> {
    const server = await startWeb(on, browser => mount(browser, service, methods as never, quiet), options);
    started.add(server);
    return server;
  }

  const open = ({ port }: WebServer, path: string, headers: Record<string, string> = {}) =>
    rawPost(on, port, path, { accept: 'text/event-stream', ...headers }, undefined, 'GET');

  async function get(server: WebServer, path: string, headers: Record<string, string> = {}) {
    const response = (await open(server, path, headers).body).setEncoding('utf8');
    let text = '';
    for await (const chunk of response) text += chunk;
    return { status: response.status, headers: response.headers, text, events: eventsIn(text) };
  }

  async function post(server: WebServer, path: string, body: string) {
    const response = await rawPost(on, server.port, path, { 'content-type': 'application/json' }, body).body;
    let text = '';
    for await (const chunk of response) text += chunk;
    return { status: response.status, text, events: eventsIn(text) };
  }

  const counting = {
    async *many({ someCount, text }: any, { metadata }: Call) {
      const [last = 0] = metadata.get('last-event-id');
      for (let num = Number(last) + 1; num <= someCount; num++) yield { someCount: num, text };
    },
  };
  const token = ({ someCount }: any) => someCount;

  it('B2 makes a query a request, and each message an event in proto3 JSON', async () => {
    const { status, headers, events } = await get(
      await serve(counting),
      `${Many.path}?someCount=2&text=a%20b`,
    );
    expect(status).to.equal(200);
    expect(headers).to.include({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    });
    expect(events.slice(1)).to.deep.equal([
      { data: '{"someCount":1,"text":"a b"}' },
      { data: '{"someCount":2,"text":"a b"}' },
      { id: 'leat:end', event: 'status', data: '{"code":0,"status":"OK","message":""}' },
    ]);
  });

  it('B2 takes a request in JSON by POST, also of one that has one answer, which GET may not call', async () => {
    const server = await serve({ ...counting, one: (thing: any) => thing, look: (thing: any) => thing });
    expect((await post(server, Many.path, '{"someCount":1}')).events[1]).to.deep.equal({
      data: '{"someCount":1}',
    });
    expect((await post(server, One.path, '{"text":"x"}')).events[1]).to.deep.equal({ data: '{"text":"x"}' });
    expect((await get(server, `${One.path}?text=x`)).status).to.equal(405);
    expect((await get(server, `${Look.path}?text=x`)).events[1]).to.deep.equal({ data: '{"text":"x"}' });
  });

  it('B2 answers 400 with the name of the field that does not fit', async () => {
    const server = await serve(counting);
    for (const [query, name] of [
      ['someCount=x', 'someCount'],
      ['inner.label=a&inner=b', 'inner'],
      ['nothing=x', 'nothing'],
      ['color=PINK', 'color'],
      ['unheard=1', 'unheard'],
      ['__proto__=1', '__proto__'],
      ['a.__proto__.b=1', 'a.__proto__.b'],
    ]) {
      const { status, text } = await get(server, `${Many.path}?${query}`);
      expect(status, query).to.equal(400);
      expect(JSON.parse(text), query).to.include({ code: 3, status: 'INVALID_ARGUMENT' });
      expect(JSON.parse(text).message).to.include(`\`${name}\``);
    }
    for (const body of ['', '{', '[]', '"x"', '{"someCount":"x"}', '{"unheard":1}'])
      expect((await post(server, Many.path, body)).status, body).to.equal(400);
  });

  it('B2 goes on after the last event that came, and loses and repeats nothing', async () => {
    const server = await serve(counting, { token });
    const seen: string[] = [];
    let last = '';
    for (let round = 1; round <= 5; round++) {
      const call = open(server, `${Many.path}?someCount=1000000`, last ? { 'last-event-id': last } : {});
      const body = await call.body;
      let text = '';
      for await (const chunk of body) {
        text += chunk;
        if (text.length > round * 10_000) break;
      }
      call.leave();
      // What was not complete is not an event.
      for (const { id } of eventsIn(text.slice(0, text.lastIndexOf('\n\n') + 2))) if (id) seen.push(id);
      last = seen.at(-1) ?? '';
    }
    expect(seen.length).to.be.above(1000);
    expect(seen.map(Number)).to.deep.equal(Array.from({ length: seen.length }, (_, index) => index + 1));
  });

  it('B2 has pages come back to a server that was started again, not all at once, without a gap and without a repeat', async () => {
    // fetch() speaks HTTP/1.1.
    if (on === 'web over HTTP/2') return;
    const methods = {
      async *many({ someCount }: any, { metadata }: Call) {
        const [last = 0] = metadata.get('last-event-id');
        for (let num = Number(last) + 1; num <= someCount; num++) {
          yield { someCount: num };
          await turn();
        }
      },
    };
    const options = { token, retryMs: 200 };
    const first = await serve(methods, options);
    const pages = Array.from({ length: 10 }, () => {
      const seen: number[] = [];
      const source = new TestEventSource(`${first.base}${Many.path}?someCount=300`);
      source.onmessage = ({ data }) => void seen.push(JSON.parse(data).someCount);
      return { source, seen };
    });
    await until('each has begun', () => pages.every(({ seen }) => seen.length > 10), 20_000);
    await first.close();
    started.delete(first);
    expect(pages.filter(({ seen }) => seen.length === 300).length).to.be.below(10);
    const second = await startWeb(
      on,
      browser => mount(browser, service, methods as never, quiet),
      options,
      first.port,
    );
    started.add(second);
    await until('all have stopped', () => pages.every(({ source }) => source.readyState === 2), 20_000);
    const all = Array.from({ length: 300 }, (_, index) => index + 1).join();
    for (const { seen } of pages) expect(seen.join()).to.equal(all);
  }).timeout(30_000);

  it('B2 is told by 204 that there is no more, and not by an end alone', async () => {
    const server = await serve(counting, { token });
    const { events } = await get(server, `${Many.path}?someCount=3`);
    const again = await get(server, `${Many.path}?someCount=3`, {
      'last-event-id': String(events.at(-1)?.id),
    });
    expect({ status: again.status, text: again.text }).to.deep.equal({ status: 204, text: '' });
  });

  it('B2 shows errors, and has a page come back for those that pass, with the place that it had', async () => {
    for (let code = 1; code <= 16; code++) {
      const methods = {
        *many() {
          yield { someCount: 7 };
          throw new StatusError(code, 'so it is');
        },
      };
      const { events } = await get(await serve(methods, { token }), Many.path);
      const { id, retry, event, data } = events.at(-1) as Told;
      expect(event).to.equal('status');
      expect(JSON.parse(data as string)).to.deep.equal({ code, status: status[code], message: 'so it is' });
      const passing = [1, 4, 8, 10, 14].includes(code);
      expect(id, String(code)).to.equal(passing ? undefined : 'leat:end');
      if (passing) expect(Number(retry)).to.be.within(1000, 3000);
      await [...started].at(-1)?.close();
    }
  });

  it('B2 spreads the returns of pages, and heeds a hint', async () => {
    const error = new StatusError(status.UNAVAILABLE, 'gone');
    const methods = {
      // biome-ignore lint/correctness/useYield: it only fails
      async *many({ flag }: any, { trailer }: Call) {
        trailer.set('grpc-retry-pushback-ms', flag ? '-1' : '60000');
        throw error;
      },
    };
    const server = await serve(methods, { retryMs: 1000 });
    const hints = new Set<number>();
    for (let round = 0; round < 20; round++) {
      const { events } = await get(server, Many.path);
      expect(Number(events[0]?.retry)).to.be.within(500, 1500);
      expect(Number(events.at(-1)?.retry)).to.be.within(60_500, 61_500);
      hints.add(Number(events[0]?.retry));
    }
    expect(hints.size).to.be.above(10);
    expect((await get(server, `${Many.path}?flag=true`)).events.at(-1)?.id).to.equal('leat:end');
  });

  it('opens at once, however long the first message takes, and keeps a silent stream up by comments', async () => {
    const methods = {
      async *many(_: unknown, { signal }: Call) {
        await new Promise(resolve => signal.addEventListener('abort', resolve));
        yield {};
      },
    };
    const call = open(await serve(methods, { heartbeatMs: 10 }), Many.path);
    const body = await call.body;
    let text = '';
    for await (const chunk of body) {
      text += chunk;
      if (text.endsWith(':\n\n:\n\n')) break;
    }
    expect(text).to.match(/^retry: \d+\n\n(:\n\n){2,}$/);
    call.leave();
  });

  it('B6 puts no comment into an event, however slowly that is taken', async () => {
    const text = 'x'.repeat(5_000_000);
    const call = open(await serve({ many: () => [{ text }, { text }] }, { heartbeatMs: 1 }), Many.path);
    const body = await call.body;
    let all = '';
    for await (const chunk of body) {
      all += chunk;
      if (all.length < 3e6) await turn();
    }
    const events = eventsIn(all).filter(({ event, data }) => data !== undefined && event === undefined);
    expect(events.map(({ data }) => JSON.parse(data as string).text.length)).to.deep.equal([
      5_000_000, 5_000_000,
    ]);
  });

  it('B2 answers what is unknown in events to who asks for events', async () => {
    const server = await serve(counting);
    for (const path of ['/no.Such/Method', '/spec.web.Everything/Chat', Look.path]) {
      const { events } = await get(server, path);
      expect(events.at(-1)).to.include({ id: 'leat:end', event: 'status' });
      expect(JSON.parse(events.at(-1)?.data as string)).to.include({ code: 12 });
    }
  });

  it('takes JSON from the option, and else from the definition; a method without is told of', async () => {
    const codec = {
      fromJson: (json: any) => ({ asked: json }),
      toJson: (message: unknown) => ({ by: message }),
    };
    const methods = {
      *stream({ asked }: any) {
        yield asked;
      },
    };
    const own = { stream: { ...definition.stream } };
    const ask = async (service: any, options: WebOptions) => {
      const server = await startWeb(on, browser => mount(browser, service, methods as never, quiet), options);
      started.add(server);
      return (await get(server, `${definition.stream.path}?a=true&b.c=1&b.c=2`)).events[1]?.data ?? '';
    };
    expect(await ask(own, { json: () => codec })).to.equal('{"by":{"a":true,"b":{"c":["1","2"]}}}');
    const carrying = {
      stream: withJson({ ...definition.stream }, { ...codec, fromQuery: query => ({ asked: query }) }),
    };
    expect(await ask(carrying, {})).to.equal('{"by":{"a":"true","b":{"c":["1","2"]}}}');
    const { error } = console;
    const printed: unknown[] = [];
    console.error = (...args) => void printed.push(args.map(String).join(' '));
    try {
      const server = await startWeb(on, browser => mount(browser, own, methods as never, quiet));
      started.add(server);
      const { events } = await get(server, definition.stream.path);
      expect(JSON.parse(events.at(-1)?.data as string)).to.include({
        code: 12,
        message: '/spec.Service/Stream has no JSON: call it by gRPC-Web',
      });
    } finally {
      console.error = error;
    }
    expect(printed.join()).to.include('Expected the definition of `/spec.Service/Stream` to have JSON');
  });

  const sound = { fromJson: (json: any) => json, toJson: (message: any) => message };
  const rejected = async () => {
    throw new TypeError('Expected `text`');
  };
  const broken: [what: string, json: () => unknown, says: string][] = [
    ['a codec that is none', () => ({}), '`json()` to return a codec'],
    ['a codec that cannot write', () => ({ fromJson: sound.fromJson }), '`json()` to return a codec'],
    ['a query that is no function', () => ({ ...sound, fromQuery: 1 }), '`json()` to return a codec'],
    ['a text for a codec', () => 'json', '`json()` to return a codec'],
    ['a promise of a codec', async () => sound, '`json()` to return a codec'],
    ['a promise that rejects for a codec', rejected, '`json()` to return a codec'],
    ['a promise of a request', () => ({ ...sound, fromJson: async () => ({}) }), '`fromJson()` to return a'],
    ['a promise that rejects', () => ({ ...sound, fromJson: rejected }), '`fromJson()` to return a request'],
    ['no request', () => ({ ...sound, fromJson: () => {} }), '`fromJson()` to return a request'],
    ['null for a request', () => ({ ...sound, fromJson: () => null }), '`fromJson()` to return a request'],
  ];
  it('answers 500 and reports where a codec is broken, runs no method, and goes on', async () => {
    const { error } = console;
    let printed: string[] = [];
    let ran = 0;
    console.error = (...args) => void printed.push(args.map(String).join(' '));
    try {
      for (const [what, json, says] of broken) {
        const server = await serve({ many: () => [{ n: ++ran }] }, { json: json as never });
        printed = [];
        const { status, text } = await post(server, Many.path, '{}');
        expect(status, what).to.equal(500);
        expect(JSON.parse(text), what).to.include({ code: 13, message: 'internal error' });
        expect(printed.join(), what).to.include(says);
        expect(printed, what).to.have.length(1);
      }
      const fromQuery = { ...sound, fromQuery: rejected };
      const server = await serve({ many: () => [{ n: ++ran }] }, { json: () => fromQuery as never });
      printed = [];
      expect((await get(server, Many.path)).status).to.equal(500);
      expect(printed.join()).to.include('`fromQuery()` to return a request').and.include('not waited for');
      expect(ran).to.equal(0);
      expect((await post(server, Many.path, '{}')).events[1]).to.deep.equal({ data: '{"n":1}' });
    } finally {
      console.error = error;
    }
  });

  it('answers 400 with what a codec throws', async () => {
    const fromJson = () => {
      throw new RangeError('Expected `text`');
    };
    const server = await serve({ many: () => [] }, { json: () => ({ ...sound, fromJson }) });
    const { status, text } = await post(server, Many.path, '{}');
    expect(status).to.equal(400);
    expect(JSON.parse(text)).to.include({ code: 3, message: 'Expected `text`' });
  });

  it('ends with INTERNAL, and sends no message, where a codec makes no JSON of it', async () => {
    for (const toJson of [async () => ({ a: 1 }), rejected, () => {}, () => () => 1, () => Symbol('x')]) {
      const server = await serve({ many: () => [{}] }, { json: () => ({ ...sound, toJson }) });
      const { text, events } = await post(server, Many.path, '{}');
      expect(text, String(toJson)).to.not.match(/^data: [^{]|^data: \{\}/m);
      expect(JSON.parse(events.at(-1)?.data as string), String(toJson)).to.include({ code: 13 });
      expect(events).to.have.length(2);
    }
  });

  it('takes a codec that is an instance of a class', async () => {
    class Codec {
      readonly tag = 'own';
      fromJson(json: unknown) {
        return { [this.tag]: json };
      }
      toJson(message: object) {
        return { ...message, by: this.tag };
      }
    }
    const server = await serve({ many: (request: object) => [request] }, { json: () => new Codec() });
    const { events } = await post(server, Many.path, '{}');
    expect(events[1]).to.deep.equal({ data: '{"own":{},"by":"own"}' });
  });

  it('sends what is shared and what is not in their order, and as UTF-8, however much of both a turn has', async () => {
    const texts = Array.from({ length: 700 }, (_, i) => `${i} ü€🎈`.repeat(i % 50));
    const methods = {
      *many() {
        for (const [i, text] of texts.entries())
          yield i % 3 === 0 || i > 400 ? { text } : broadcast({ text });
      },
    };
    const { events } = await get(await serve(methods), Many.path);
    const got = events.slice(1, -1).map(({ data }) => JSON.parse(data as string).text ?? '');
    expect(got).to.deep.equal(texts);
  });

  it('encodes a message of a topic once for all pages, and serves gRPC-Web beside them', async () => {
    let encoded = 0;
    const messages = topic<{ someCount: number }>();
    const methods = { many: (_: unknown, { signal }: Call) => messages.subscribe({ signal }) };
    const json = () => ({
      fromJson: () => ({}),
      toJson: (message: unknown) => {
        encoded += 1;
        return message;
      },
    });
    const server = await serve(methods, { json });
    const calls = Array.from({ length: 20 }, () => open(server, Many.path));
    const bodies = await Promise.all(calls.map(call => call.body));
    await until('all listen', () => messages.subscribers === 20);
    const first = bodies.map(
      body =>
        new Promise<string>(resolve =>
          body.on('data', chunk => /data/.test(chunk) && resolve(String(chunk))),
        ),
    );
    messages.publish({ someCount: 1 });
    for (const text of await Promise.all(first)) expect(text).to.include('data: {"someCount":1}\n\n');
    expect(encoded).to.equal(1);
    for (const call of calls) call.leave();
  });

  it('serves wrapped handlers', async () => {
    const handler = (call: any) => {
      call.write({ text: call.request.text });
      call.end();
    };
    const { events } = await get(await serve({ many: wrap(handler as never) }), `${Many.path}?text=x`);
    expect(events[1]).to.deep.equal({ data: '{"text":"x"}' });
  });
}
