/**
 * What pages see of a server, in figures:
 *
 *     npx tsx spec/web/figures.full.ts [herd] [paused] [closed] [red] [memory]
 *
 * `herd`: 1,000 EventSources whose server is killed, and then drained: lost, repeated, and how they come back.
 * `paused`: what is pulled ahead of a client that reads nothing. `closed`: from the closing of a tab that has been open
 * for a second, one of several, or an abort in it, to the `finally` of its source. `red`: from the click on "Show errors"
 * to the first red line. `memory`: of a tab through 100,000 lines. The last three need Chromium. Fails when a figure is
 * beyond its bound.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { type EventEmitter, once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { Method } from '../../lib/index.ts';
import { drainOn, mount } from '../../lib/index.ts';
import { startChromium } from '../support/chromium.ts';
import { TestEventSource } from '../support/event-source.ts';
import { definition, path, quiet, until } from '../support/harness.ts';
import { killPrograms, takePort } from '../support/program.ts';
import { NumberedLog, startViewer } from '../support/viewer.ts';
import { startWeb, type webNames } from '../support/web-client.ts';

const json = () => ({ fromJson: (value: unknown) => value, toJson: (value: unknown) => value });
const sleep = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));
const quantile = (values: number[], q: number) =>
  values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(values.length * q) - 1)] ?? NaN;
let failed = false;

/** Prints a figure, and whether it is within its bound. */
function figure(what: string, value: number, most: number, unit = ''): void {
  const isGood = value <= most;
  failed ||= !isGood;
  console.log(
    `${isGood ? 'ok ' : 'BAD'} ${what}: ${Math.round(value * 10) / 10}${unit} (at most ${most}${unit})`,
  );
}

const EVERY_MS = 500;

/** One number every half second, the same for all and in each process. */
const numbers: Method<unknown, { n: number }> = async function* (_request, { metadata, signal }) {
  const now = () => Math.floor(Date.now() / EVERY_MS);
  const last = metadata.get('last-event-id')[0];
  for (let n = last === undefined ? now() : Number(last) + 1; !signal.aborted; n++) {
    const waitMs = n * EVERY_MS - Date.now();
    if (waitMs > 0) await sleep(waitMs);
    if (!signal.aborted) yield { n };
  }
};

async function serverRole(port: number): Promise<void> {
  const served = await startWeb(
    'web over HTTP/1.1',
    browser => mount(browser, definition, { stream: numbers }, quiet),
    { json, token: ({ n }) => n },
    port,
  );
  drainOn(served.browser, { graceMs: 100, after: () => served.close() });
  process.send?.('up');
}

async function herd(count: number): Promise<void> {
  const taken = await takePort();
  await taken?.giveBack();
  const port = taken?.port ?? 0;
  const start = async (): Promise<ChildProcess> => {
    const child = fork(import.meta.filename, ['server', String(port)], { execArgv: ['--import', 'tsx'] });
    await once(child, 'message');
    return child;
  };
  let server = await start();
  const opened: number[] = [];
  const pages = Array.from({ length: count }, () => {
    const source = new TestEventSource(`http://127.0.0.1:${port}${path}`);
    const page = { source, taken: [] as number[] };
    source.addEventListener('open', () => opened.push(performance.now()));
    source.onmessage = ({ data }) => page.taken.push(JSON.parse(data).n);
    return page;
  });
  const all = (holds: (page: (typeof pages)[number]) => boolean) => () => pages.every(holds);
  await until(
    'all have begun',
    all(({ taken }) => taken.length >= 2),
    120_000,
  );
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    const before = pages.map(({ source }) => source.opened);
    opened.length = 0;
    const gone = once(server, 'exit');
    server.kill(signal);
    await gone;
    server = await start();
    await until(
      'all are back',
      () => pages.every(({ source }, i) => source.opened > (before[i] ?? 0)),
      120_000,
    );
    const goal = Math.floor(Date.now() / EVERY_MS) + 2;
    await until(
      'all have gone on',
      all(({ taken }) => (taken.at(-1) ?? 0) >= goal),
      120_000,
    );
    const tenths = new Map<number, number>();
    for (const at of opened) tenths.set(Math.floor(at / 100), (tenths.get(Math.floor(at / 100)) ?? 0) + 1);
    const span = (Math.max(...opened) - Math.min(...opened)) / 1000;
    console.log(`    ${signal}: ${opened.length} came back within ${span.toFixed(1)} s`);
    figure(
      `${signal}: the most who came back in one tenth of a second`,
      Math.max(...tenths.values()),
      count / 4,
    );
  }
  let [lost, repeated] = [0, 0];
  for (const { taken } of pages)
    for (const [i, n] of taken.entries()) {
      const step = i === 0 ? 1 : n - (taken[i - 1] ?? 0);
      if (step > 1) lost += step - 1;
      if (step < 1) repeated += 1;
    }
  figure(`lost by ${count} pages`, lost, 0);
  figure(`repeated to ${count} pages`, repeated, 0);
  for (const { source } of pages) source.close();
  server.kill('SIGKILL');
}

const KIB = 1024;

/** How many messages of a KiB are pulled of a source that never waits, once no more are. */
async function pulledAhead(on: (typeof webNames)[number]): Promise<number> {
  let pulled = 0;
  const source = function* () {
    for (;;) {
      pulled += 1;
      yield { text: 'x'.repeat(KIB) };
    }
  };
  const served = await startWeb(on, browser => mount(browser, definition, { stream: source }, quiet), {
    json,
  });
  const headers = { accept: 'text/event-stream' };
  if (on === 'web over HTTP/2') {
    const stream = http2.connect(served.base).request({ ':path': path, ...headers });
    stream.on('error', () => {});
    stream.end();
    await once(stream, 'response');
  } else
    await once(
      http.get(served.base + path, { headers }).on('error', () => {}),
      'response',
    );
  await standing(() => pulled);
  await served.close();
  return pulled;
}

async function standing(value: () => number): Promise<void> {
  for (let last = -1; last !== value(); ) {
    last = value();
    await sleep(1500);
  }
}

async function paused(): Promise<void> {
  const overHttp2 = await pulledAhead('web over HTTP/2');
  // 64 KiB are what HTTP/2 lets a client have that reads nothing.
  figure('pulled ahead over HTTP/2, messages of a KiB', overHttp2, 256 + 64);
  const overHttp1 = await pulledAhead('web over HTTP/1.1');
  figure('pulled ahead over HTTP/1.1', overHttp1, 256 + 40_000, ', the kernel having the rest');
}

/** From the end of a call in a page to the `finally` of its source, 100 times each way. */
async function closed(): Promise<void> {
  let ended: ((at: number) => void) | undefined;
  let heard: number | undefined;
  const source: Method<unknown, object> = async function* (_request, { signal }) {
    try {
      while (!signal.aborted) {
        yield {};
        await sleep(5);
      }
    } finally {
      ended?.(Date.now());
    }
  };
  const served = await startWeb(
    'web over HTTP/1.1',
    browser => mount(browser, definition, { stream: source }, quiet),
    { json },
  );
  // Whatever comes before this is the browser's time, and the machine's.
  served.server.on('connection', (socket: EventEmitter) =>
    socket.once('close', () => {
      heard ??= Date.now();
    }),
  );
  const chromium = await startChromium();
  // As in a window: others stay. With its last page a whole profile would be cleared away, which takes longer.
  const window = await chromium.newContext();
  await window.newPage();
  for (const way of ['aborted fetch', 'closed tab whose page aborts', 'closed tab'] as const) {
    const times: number[] = [];
    const own: number[] = [];
    for (let run = 0; run < 100; run++) {
      const page = await window.newPage();
      await page.goto(`${served.base}/`);
      await page.evaluate(
        `fetch('${path}', { headers: { accept: 'text/event-stream' }, signal: (window.left = new AbortController()).signal })
          .then(response => (window.reader = response.body.getReader()).read())`,
      );
      if (way === 'closed tab whose page aborts')
        await page.evaluate(`addEventListener('pagehide', () => left.abort())`);
      const finished = new Promise<number>(resolve => {
        ended = resolve;
      });
      heard = undefined;
      // One that is still starting has other things to do than to leave.
      if (way !== 'aborted fetch') await sleep(1000);
      let from = Date.now();
      if (way !== 'aborted fetch') await page.close();
      else from = await page.evaluate<number>('const at = Date.now(); left.abort(); at');
      const at = await finished;
      times.push(at - from);
      own.push(at - (heard ?? at));
      if (way === 'aborted fetch') await page.close();
    }
    console.log(
      `    ${way}: p50 ${quantile(times, 0.5)}, p99 ${quantile(times, 0.99)}, max ${Math.max(...times)} ms`,
    );
    console.log(`    of it, from the end of the connection: p99 ${quantile(own, 0.99)} ms`);
    figure(`${way} to \`finally\`, p99 of ${times.length}`, quantile(times, 0.99), 50, ' ms');
  }
  await chromium.close();
  await served.close();
}

async function red(): Promise<void> {
  const { url } = await startViewer('--port', '0', '--speed', '10');
  const chromium = await startChromium();
  const times: number[] = [];
  const fromServer: number[] = [];
  for (let run = 0; run < 30; run++) {
    const page = await chromium.newPage({ bypassCSP: true });
    await page.goto(url);
    await page.locator('li').nth(299).waitFor();
    const [seen = NaN, come = NaN] = await page.evaluate<number[]>(`new Promise(resolve => {
      const from = performance.now();
      let seen;
      new MutationObserver(() => resolve([seen ?? performance.now() - from, performance.now() - from])).observe(
        document.querySelector('#lines'), { childList: true });
      const look = () => {
        const shown = [...document.querySelectorAll('li')].filter(line => line.offsetParent);
        if (shown.some(({ dataset }) => dataset.level === 'error') && shown.every(({ dataset }) => dataset.level === 'error'))
          seen ??= performance.now() - from;
        else requestAnimationFrame(look);
      };
      document.querySelector('#errors').click();
      look();
    })`);
    times.push(seen);
    fromServer.push(come);
    await page.close();
  }
  console.log(
    `    median ${quantile(times, 0.5).toFixed(1)} ms; from the server ${quantile(fromServer, 0.5).toFixed(1)} ms`,
  );
  figure('from the click to red lines and no others, 27 of 30', quantile(times, 0.9), 200, ' ms');
  await chromium.close();
}

async function memory(): Promise<void> {
  const log = new NumberedLog();
  log.write(10);
  const { url } = await startViewer('--port', '0', '--file', log.path);
  const chromium = await startChromium();
  const page = await chromium.newPage({ bypassCSP: true });
  await page.goto(url);
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  const used = async (lines: number) => {
    log.write(lines - log.written);
    await page.waitForFunction(
      `document.querySelector('#lines').lastChild?.textContent.includes('line ${lines - 1} ')`,
      null,
      {
        timeout: 120_000,
      },
    );
    await session.send('HeapProfiler.collectGarbage');
    const { metrics } = await session.send('Performance.getMetrics');
    const of = (wanted: string) => metrics.find(({ name }) => name === wanted)?.value ?? NaN;
    console.log(
      `    after ${lines} lines: ${(of('JSHeapUsedSize') / 2 ** 20).toFixed(1)} MiB, ${of('Nodes')} nodes`,
    );
    return { heap: of('JSHeapUsedSize') / 2 ** 20, nodes: of('Nodes') };
  };
  const few = await used(10_000);
  const many = await used(100_000);
  figure('heap of the tab that 90,000 lines more take', many.heap - few.heap, 5, ' MiB');
  figure('nodes of the tab after 100,000 lines', many.nodes, 2000 * 20);
  await chromium.close();
  log.remove();
}

const [first, port] = process.argv.slice(2);
if (first === 'server') await serverRole(Number(port));
else {
  const parts = { herd: () => herd(1000), paused, closed, red, memory };
  const asked = process.argv.slice(2);
  for (const [name, run] of Object.entries(parts)) {
    if (asked.length > 0 && !asked.includes(name)) continue;
    console.log(name);
    await run();
    await killPrograms();
  }
  process.exit(failed ? 1 : 0);
}
