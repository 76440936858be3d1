import { Metadata, type Server, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import type { Browser as Chromium, Page } from 'playwright-core';
import type { Closer } from '../../examples/example.ts';
import { services } from '../../examples/examples.ts';
import { tutorial } from '../../examples/protos.ts';
import { mount, StatusError } from '../../lib/index.ts';
import { web } from '../../lib/web/index.ts';
import { needsChromium, newPage, openChromium } from '../support/chromium.ts';
import { quiet, until } from '../support/harness.ts';
import {
  bundleOf,
  type ClientName,
  callIn,
  clientNames,
  needsClients,
  type PageServer,
  type Seen,
  servePages,
} from '../support/page-clients.ts';

const NUMBERS = '/tutorial.NumberService/ListNumbers';
const STREAMS = '/streamservice.StreamService';

describe(`the clients of pages, in Chromium${needsChromium || needsClients}`, function () {
  this.timeout(120_000);
  let chromium: Chromium;
  let bundle = '';
  before(async function () {
    chromium = await openChromium(this);
    bundle = bundleOf(this);
  });
  after(() => chromium?.close());

  describe('call each service of the tutorials', () => {
    let server: PageServer;
    let page: Page;
    const closers: (Closer | void)[] = [];

    before(async () => {
      const browser = web({ token: ({ sequence, num }) => sequence ?? num });
      // All that a service does with its server is to mount.
      for (const service of services)
        closers.push(await service.serve(browser as unknown as Server, { speed: 50, log: () => {} }));
      server = await servePages(bundle, browser);
      page = await newPage(chromium);
      await page.goto(server.url());
    });
    after(async () => {
      await page?.close();
      await server?.close();
      for (const close of closers) await close?.();
    });

    const call = (client: ClientName, path: string, request: object, take?: number, query = '') =>
      callIn(page, client, { baseUrl: server.url(), path, request, query, ...(take && { take }) });

    /** What each client is asked, and what of it it should see. */
    const calls: [
      name: string,
      path: string,
      request: object,
      query: string,
      (seen: Seen) => unknown,
      unknown,
    ][] = [
      ['numbers', NUMBERS, { max: 3 }, 'max=3', ({ messages }) => messages, [1, 2, 3].map(num => ({ num }))],
      [
        'fetch',
        '/protobuf.StreamService/FetchResponse',
        { id: 7 },
        'id=7',
        ({ messages }) => messages.map(({ result }) => result).sort(),
        [0, 1, 2, 3, 4].map(k => `Request #${k} For Id:7`),
      ],
      [
        'logs',
        '/example.LogService/GetLogs',
        { level: 'error' },
        'level=error',
        ({ messages }) => messages.map(({ message }) => message),
        [0, 1, 2, 3, 4].map(i => `Error ${i}`),
      ],
      [
        'query',
        `${STREAMS}/StreamQueryResults`,
        { query: 'SELECT 1 AS a', batchSize: 5 },
        'query=SELECT%201%20AS%20a&batchSize=5',
        ({ messages }) => messages,
        [{ rows: [{ columns: { a: '1' } }], batchNumber: 1, totalBatches: 1, isLast: true }],
      ],
      [
        'job',
        `${STREAMS}/WatchJobProgress`,
        { jobId: 'j' },
        'jobId=j',
        ({ messages }) => [messages.at(-1).percentage, messages.at(-1).status],
        [100, 'completed'],
      ],
      [
        'values',
        '/StreamServer/ListValue',
        { data: 'ä' },
        'data=%C3%A4',
        ({ messages }) => messages.map(({ streamValue }) => streamValue),
        [0, 1, 2, 3, 4].map(n => `ä${n}`),
      ],
    ];
    for (const [name, path, request, query, of, expected] of calls)
      for (const client of clientNames)
        it(`${name} by ${client}`, async () => {
          const seen = await call(client, path, request, undefined, query);
          expect({ code: seen.code, seen: of(seen) }).to.deep.equal({ code: 0, seen: expected });
        });

    // Binary, grpc-web shows nothing before the end.
    for (const client of clientNames.filter(name => name !== 'grpc-web, binary')) {
      it(`updates by ${client}, until it leaves`, async () => {
        const topics = ['orders', 'alerts'];
        const query = 'topics=orders&topics=alerts';
        const { messages, code } = await call(client, `${STREAMS}/SubscribeToUpdates`, { topics }, 4, query);
        expect(messages.slice(0, 4).map(({ message }) => message)).to.have.members([
          ...['Update from orders', 'Update from alerts', 'Update from orders', 'Update from alerts'],
        ]);
        expect(code).to.be.oneOf([0, status.CANCELLED]);
      });

      it(`tail by ${client}, until it leaves`, async () => {
        const request = { lines: 5, follow: true, logLevel: 'info' };
        const { messages } = await call(
          client,
          `${STREAMS}/TailLogs`,
          request,
          8,
          'lines=5&follow=true&logLevel=info',
        );
        // grpc-web goes on with what it has when it is told to stop.
        if (client.startsWith('grpc-web')) expect(messages.length).to.be.at.least(8);
        else expect(messages).to.have.length(8);
        for (const { level } of messages) expect(level).to.be.oneOf(['info', 'warn', 'error']);
      });
    }

    for (const client of clientNames.filter(name => name !== 'EventSource'))
      it(`show headers and trailers by ${client}`, async () => {
        const path = '/example.LogService/GetLogs';
        const headers = { 'x-correlation-id': 'of-the-page' };
        const { header, ...rest } = await callIn(page, client, { baseUrl: server.url(), path, headers });
        expect(header).to.include({ 'x-correlation-id': 'of-the-page', 'x-total-count': '5' });
        const trailer =
          client === 'fetch' ? (rest as unknown as { trailers: object }).trailers : rest.trailer;
        expect(trailer).to.include({ 'x-sent-count': '5' }).and.to.have.property('x-checksum');
      });
  });

  describe('and pages of other origins', () => {
    let server: PageServer;
    let others: PageServer;
    const ended: string[] = [];
    const calls: string[] = [];

    before(async () => {
      others = await servePages(bundle);
      const browser = web({
        token: ({ num }) => num,
        retryMs: 20,
        cors: { origins: [others.url()], credentials: true },
      });
      const { service } = tutorial.NumberService;
      const methods = {
        async *listNumbers({ max }: { max: number }, { signal, metadata, header }: any) {
          calls.push(String(metadata.get('cookie')[0] ?? ''));
          header.set('x-header', 'h');
          const more = new Metadata();
          more.set('x-trailer', 't');
          const details = [
            { typeUrl: 'type.googleapis.com/google.rpc.ErrorInfo', value: Buffer.from([10, 1, 65]) },
          ];
          if (max === -1)
            throw new StatusError(status.FAILED_PRECONDITION, 'not ready: ü', { metadata: more, details });
          if (max === -2) throw new Error('a secret');
          try {
            const after = Number(metadata.get('last-event-id')[0] ?? 0);
            for (let num = after + 1; max === 0 || num <= max; num++) {
              yield { num };
              if (max === 6 && num % 2 === 0 && num < 6) throw new StatusError(status.UNAVAILABLE, 'again');
              if (max === 0) await new Promise(resolve => setTimeout(resolve, 5));
            }
          } finally {
            ended.push(String(signal.reason ?? 'done'));
          }
        },
      };
      mount(browser, service, methods, quiet);
      server = await servePages(bundle, browser);
    });
    after(async () => {
      await server?.close();
      await others?.close();
    });

    let page: Page;
    afterEach(() => page?.close());
    const open = async (url: string) => {
      page = await newPage(chromium);
      await page.goto(url);
      ended.length = 0;
      calls.length = 0;
    };
    const call = (client: ClientName, max: number, more: object = {}) =>
      callIn(page, client, {
        baseUrl: server.url(),
        path: NUMBERS,
        request: { max },
        query: `max=${max}`,
        ...more,
      });

    for (const client of clientNames) {
      it(`${client} calls from an origin that is allowed, and may read headers and trailers`, async () => {
        await open(others.url());
        const seen = await call(client, 3, { credentials: 'include' });
        expect({ code: seen.code, numbers: seen.messages.map(({ num }) => num) }).to.deep.equal({
          code: 0,
          numbers: [1, 2, 3],
        });
        if (client !== 'EventSource') expect(seen.header).to.include({ 'x-header': 'h' });
      });

      it(`${client} calls nothing from an origin that is not`, async () => {
        await open(others.url('localhost'));
        const seen = await call(client, 3).catch(error => error);
        expect(seen.messages ?? []).to.deep.equal([]);
        expect(calls).to.deep.equal([]);
      });

      it(`${client} shows an error with what belongs to it, and nothing of what is not for clients`, async () => {
        await open(server.url());
        const error = await call(client, -1);
        expect(error).to.include({ code: status.FAILED_PRECONDITION, message: 'not ready: ü' });
        if (client === 'connect-web')
          expect(error.details).to.deep.equal([{ type: 'google.rpc.ErrorInfo', value: [10, 1, 65] }]);
        else if (client.startsWith('grpc-web'))
          expect(error.trailer)
            .to.include({ 'x-trailer': 't' })
            .and.to.have.property('grpc-status-details-bin');
        else expect((error as any).trailers).to.include({ 'x-trailer': 't' });
        const hidden = await call(client, -2);
        expect(hidden).to.include({ code: status.UNKNOWN, message: 'internal error' });
      });
    }

    for (const client of clientNames.filter(name => /web/.test(name)))
      it(`${client} has deadlines, which the source hears of`, async () => {
        await open(server.url());
        const seen = await call(client, 0, { timeoutMs: 300 });
        expect(seen.code).to.equal(status.DEADLINE_EXCEEDED);
        await until('the source has ended', () => ended.length === 1, 20_000);
      });

    for (const client of clientNames)
      it(`a tab that is closed ends the source of ${client}`, async () => {
        await open(server.url());
        const seen = call(client, 0).catch(() => {});
        await until('it is called', () => calls.length === 1, 20_000);
        await page.close();
        await seen;
        await until('the source has ended', () => ended.length === 1, 20_000);
      });

    it('an EventSource comes back to where it was, and stops at the end', async () => {
      await open(server.url());
      const { messages, ids, opened } = await call('EventSource', 6);
      expect(messages.map(({ num }) => num)).to.deep.equal([1, 2, 3, 4, 5, 6]);
      expect(ids).to.deep.equal(['1', '2', '3', '4', '5', '6']);
      expect(opened).to.equal(3);
    });

    it('a page with cookies sends them only where it is allowed to', async () => {
      await open(others.url());
      await page.context().addCookies([{ name: 'session', value: 's', url: server.url() }]);
      await call('fetch', 1, { credentials: 'include' });
      await call('fetch', 1);
      expect(calls[0]).to.equal('session=s');
      await page.goto(others.url('localhost'));
      const ask = { baseUrl: server.url(), path: `${NUMBERS}?max=1`, credentials: 'include' };
      expect(await page.evaluate(`clients.mayFetch(${JSON.stringify(ask)})`)).to.match(/Failed to fetch/);
      expect(calls).to.have.length(2);
    });
  });
});
