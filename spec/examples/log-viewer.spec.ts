import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Browser, Page } from 'playwright-core';
import { serverCertificate, serverKey } from '../support/certificates.ts';
import { holds, needsChromium, newPage, openChromium } from '../support/chromium.ts';
import { killPrograms, run, takePort } from '../support/program.ts';
import { NumberedLog, numbersIn, startViewer, type Viewer } from '../support/viewer.ts';

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const visible = (level: string) =>
  `[...document.querySelectorAll('li[data-level=${level}]')].filter(line => line.offsetParent).length`;

describe('examples: npm run log-viewer', function () {
  this.timeout(120_000); // each command is a process
  afterEach(() => killPrograms());

  it('says how it is used, and what it cannot do', async () => {
    const help = await run('examples/log-viewer.ts', '--help');
    expect(help).to.include({ code: 0, stderr: '' });
    expect(help.stdout).to.match(/^usage: npm run log-viewer .*--port N/);
    for (const [args, says] of [
      [['--port', 'x'], "Expected --port to be a number from 0 up, got 'x'"],
      [['--speed', '0'], "Expected --speed to be a number from 0.001 up, got '0'"],
      [['--key', 'key.pem'], 'Expected --key and --cert together'],
      [['--colour'], "Unknown option '--colour'"],
    ] as const) {
      const { code, stderr } = await run('examples/log-viewer.ts', ...args);
      expect({ code, says: stderr.split('\n')[0] }).to.deep.equal({ code: 2, says });
    }
    const taken = await takePort();
    const { code, stderr } = await run('examples/log-viewer.ts', '--port', `${taken?.port}`);
    await taken?.giveBack();
    expect({ code, stderr }).to.deep.equal({
      code: 1,
      stderr: `cannot listen on 127.0.0.1:${taken?.port}: EADDRINUSE: address already in use 127.0.0.1:${taken?.port}\n`,
    });
  });

  it('serves its page and nothing else, the same lines by gRPC, and ends when it is told to', async () => {
    const { program, url } = await startViewer('--port', '0', '--speed', '20');
    const at = async (path: string, init?: RequestInit) => (await fetch(url + path, init)).status;
    expect(await at('')).to.equal(200);
    expect(await at('../package.json')).to.equal(404);
    expect(await at('constructor')).to.equal(404);
    expect(await at('', { method: 'DELETE' })).to.equal(405);
    const [, address = ''] = await program.line(/--address (\S+)/);
    const tail = await run(
      'examples/client.ts',
      'tail',
      '--lines',
      '3',
      '--follow',
      '1',
      '--address',
      address,
    );
    expect(tail.stdout.split('\n')).to.have.length(5);
    program.kill('SIGTERM');
    expect(await program.ended).to.include({ code: 0, stderr: '' });
  });
});

describe(`examples: the page of the log viewer${needsChromium}`, function () {
  this.timeout(120_000);
  let chromium: Browser;
  let log: NumberedLog;
  let viewer: Viewer;
  let page: Page;

  before(async function () {
    chromium = await openChromium(this);
  });
  after(() => chromium?.close());
  beforeEach(() => {
    log = new NumberedLog();
  });
  afterEach(async () => {
    await page?.close();
    await killPrograms();
    log.remove();
  });

  async function open(lines: number, options: Parameters<Browser['newPage']>[0] = {}, ...args: string[]) {
    log.write(lines);
    viewer = await startViewer('--port', '0', '--file', log.path, ...args);
    page = await newPage(chromium, options);
    await page.goto(viewer.url);
    await holds(page, `document.querySelectorAll('#lines li').length === ${lines}`);
    await state('live');
  }
  const state = (name: string) => holds(page, `document.documentElement.dataset.state === '${name}'`);
  const said = (id: string) => page.locator(`#${id}`).textContent();
  const restart = async () => {
    viewer = await startViewer('--port', viewer.port, '--file', log.path);
  };

  it('shows the end of the log, then what is written to it, as text and nothing else', async () => {
    const complaints: string[] = [];
    log.write(3);
    viewer = await startViewer('--port', '0', '--file', log.path);
    page = await newPage(chromium, { bypassCSP: false });
    page.on('console', message => complaints.push(message.text()));
    page.on('pageerror', error => complaints.push(String(error)));
    page.on('request', request => {
      if (!request.url().startsWith(viewer.url)) complaints.push(request.url());
    });
    await page.goto(viewer.url);
    await page.locator('#lines li').nth(2).waitFor();
    log.line({ service: '<i>', msg: '<img src=x onerror="document.title = 1">', '<b>': '&amp;' });
    const last = page.locator('#lines li').nth(3);
    await last.waitFor();
    expect(await last.textContent()).to.match(
      /INFO\s+<i>\s+<img src=x onerror="document.title = 1"> <b>=&amp;$/,
    );
    expect(await page.title()).to.equal('Logs');
    expect(await said('state')).to.equal('Live');
    await page.locator('#count', { hasText: '4' }).waitFor();
    expect(complaints).to.deep.equal([]);
  });

  it('shows red lines and no others when "Show errors" is clicked, and all when it is clicked again', async () => {
    await open(100);
    const errors = page.getByRole('button', { name: 'Show errors' });
    await errors.click();
    await holds(page, `${visible('error')} === 20 && ${visible('info')} === 0`);
    expect(await errors.getAttribute('aria-pressed')).to.equal('true');
    expect(await page.locator('#level').inputValue()).to.equal('error');
    const colour = "getComputedStyle(document.querySelector('li[data-level=error] .said')).color";
    const [red = 0, green = 0, blue = 0] =
      (await page.evaluate<string>(colour)).match(/\d+/g)?.map(Number) ?? [];
    expect(red).to.be.above(2 * Math.max(green, blue));
    log.write(10);
    await holds(page, `${visible('error')} === 22 && document.querySelectorAll('#lines li').length === 22`);
    await errors.click();
    await holds(page, `${visible('error')} === 22 && ${visible('info')} === 44`);
    expect(await numbersIn(page)).to.deep.equal(range(0, 110));
    await page.locator('#level').selectOption('warn');
    await holds(page, `${visible('info')} === 0 && ${visible('warn')} === 22`);
  });

  for (const [name, on] of [
    ['HTTP/1.1', 'http'],
    ['HTTP/2', 'https'],
  ] as const)
    it(`keeps few of 100,000 lines, and stops the server by its pause, over ${name}`, async () => {
      const files = { key: join(log.directory, 'key.pem'), cert: join(log.directory, 'cert.pem') };
      writeFileSync(files.key, serverKey);
      writeFileSync(files.cert, serverCertificate);
      await open(10, {}, ...(on === 'https' ? ['--key', files.key, '--cert', files.cert] : []));
      expect(viewer.url).to.match(new RegExp(`^${on}:`));
      log.write(99_990);
      await page.locator('#count', { hasText: '100,000' }).waitFor({ timeout: 60_000 });
      await holds(page, "document.querySelector('#lines').lastChild?.textContent.includes('line 99999 ')");
      expect(await numbersIn(page)).to.deep.equal(range(98_000, 100_000));

      await page.getByRole('button', { name: 'Pause' }).click();
      await state('paused');
      log.write(100);
      await holds(page, "producer.textContent === '100 lines on their way, the server goes on'");
      log.write(50_000);
      await holds(page, "producer.textContent.endsWith('lines on their way, the server has stopped')");
      const ahead = Number((await said('producer'))?.replace(/\D/g, ''));
      expect(ahead).to.be.within(257, 50_099);
      const sent = await page.evaluate<string>(
        "fetch(performance.getEntriesByType('resource').map(({ name }) => name).findLast(name => /producer/.test(name))).then(answer => answer.text())",
      );
      expect(sent, 'no stream is open').to.equal('{"sent":0,"waits":false}');
      expect(await said('count')).to.equal('100,000');
      expect(await said('state')).to.equal('Paused');
      await page.getByRole('button', { name: 'Resume' }).click();
      await page.locator('#count', { hasText: '150,100' }).waitFor({ timeout: 60_000 });
      await holds(page, "lines.lastChild?.textContent.includes('line 150099 ')");
      expect(await numbersIn(page)).to.deep.equal(range(148_100, 150_100));
    });

  for (const signal of ['SIGTERM', 'SIGKILL'] as const)
    it(`comes back to a server that was ended by ${signal}, without a gap and without a repeat`, async () => {
      await open(100);
      viewer.program.kill(signal);
      await state('lost');
      await viewer.program.ended;
      expect(await said('state')).to.match(/^Connection lost, next try in \d+ s$/);
      log.write(100);
      await restart();
      await holds(page, "document.querySelectorAll('#lines li').length >= 200");
      log.write(100);
      await holds(page, "document.querySelectorAll('#lines li').length >= 300");
      await state('live');
      expect(await numbersIn(page)).to.deep.equal(range(0, 300));
    });

  it('comes back with its level, at once when told to', async () => {
    await open(100);
    await page.getByRole('button', { name: 'Show errors' }).click();
    await holds(page, "document.querySelectorAll('#lines li').length === 20");
    // It does not come back by itself this time.
    await page.evaluate('window.kept = setTimeout; window.setTimeout = () => 0');
    viewer.program.kill('SIGKILL');
    await page.getByRole('button', { name: 'Try now' }).waitFor();
    await page.evaluate('window.setTimeout = window.kept');
    await viewer.program.ended;
    log.write(10);
    await restart();
    await page.getByRole('button', { name: 'Try now' }).click();
    await holds(page, "document.querySelectorAll('#lines li').length >= 22");
    expect(await numbersIn(page)).to.deep.equal(range(0, 110).filter(n => n % 5 === 4));
    expect(await page.getByRole('button', { name: 'Try now' }).isVisible()).to.equal(false);
  });

  it('says that the server went while it pauses, and has all when it goes on', async () => {
    await open(100);
    await page.getByRole('button', { name: 'Pause' }).click();
    log.write(100);
    await holds(page, "document.querySelector('#producer').textContent.includes('100 lines on their way')");
    viewer.program.kill('SIGKILL');
    await viewer.program.ended;
    await state('gone');
    expect(await said('state')).to.equal('Paused, and the server does not answer');
    await restart();
    await page.getByRole('button', { name: 'Resume' }).click();
    await holds(page, "document.querySelectorAll('#lines li').length >= 200");
    log.write(100);
    await holds(page, "document.querySelectorAll('#lines li').length >= 300");
    expect(await numbersIn(page)).to.deep.equal(range(0, 300));
  });

  it('leaves the server as it is closed, and comes back if a browser has kept it', async () => {
    await open(100);
    const ofPage = page.waitForRequest(request => request.url().includes('/producer'));
    await page.getByRole('button', { name: 'Pause' }).click();
    const producer = (await ofPage).url();
    await page.getByRole('button', { name: 'Resume' }).click();
    await state('live');
    const streams = async () => (await fetch(producer)).text();
    expect(await streams()).to.equal('{"sent":100,"waits":false}');
    await page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))");
    for (let looks = 0; (await streams()) !== '{"sent":0,"waits":false}'; looks++)
      expect(looks).to.be.below(10_000);
    log.write(100);
    await page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))");
    await holds(page, "document.querySelectorAll('#lines li').length >= 200");
    expect(await numbersIn(page)).to.deep.equal(range(0, 200));
  });

  it('says it when the log lost lines while the page was gone', async () => {
    await open(100);
    viewer.program.kill('SIGKILL');
    await viewer.program.ended;
    renameSync(log.path, `${log.path}.gone`);
    log.write(50);
    await restart();
    await page.locator('#lines .note').waitFor();
    await holds(page, "document.querySelectorAll('#lines .said').length === 150");
    expect(await page.locator('#lines .note').textContent()).to.match(/^Some lines are missing here/);
    expect(
      await page.evaluate<number>("[...lines.children].findIndex(line => line.className === 'note')"),
    ).to.equal(100);
    expect(await numbersIn(page)).to.deep.equal(range(0, 150));
  });

  it('follows until somebody scrolls up, and again from the end', async () => {
    await open(300);
    const atEnd = 'log.scrollHeight - log.scrollTop - log.clientHeight < 4';
    await holds(page, atEnd);
    const follow = page.getByRole('button', { name: 'Follow' });
    await page.locator('#log').hover();
    await page.mouse.wheel(0, -500);
    await holds(page, "document.querySelector('#follow').ariaPressed === 'false'");
    const before = await page.evaluate<number>('log.scrollTop');
    log.write(20);
    await holds(page, "document.querySelectorAll('#lines li').length === 320");
    expect(await page.evaluate<number>('log.scrollTop')).to.equal(before);
    await follow.click();
    await holds(page, atEnd);
    log.write(20);
    await holds(page, `document.querySelectorAll('#lines li').length === 340 && ${atEnd}`);
  });

  it('can be used by keyboard and be read by a screen reader', async () => {
    await open(50);
    expect(await page.locator('body').ariaSnapshot()).to.match(
      /heading "Logs".*paragraph: Live.*group "What is shown":.*button "Show errors".*combobox "Level".*button "Pause".*button "Follow" \[pressed\].*log "Log lines":.*listitem/s,
    );
    const focused = () => page.evaluate<string>('document.activeElement.id');
    const reached: string[] = [];
    for (let i = 0; i < 5; i++) {
      await page.keyboard.press('Tab');
      reached.push(await focused());
    }
    expect(reached).to.deep.equal(['errors', 'level', 'pause', 'follow', 'log']);
    await page.keyboard.press('e');
    await holds(page, "document.querySelectorAll('#lines li').length === 10");
    await page.keyboard.press('Space');
    await state('paused');
    expect(await page.locator('#said').textContent()).to.equal('Paused');
    await page.keyboard.press('Space');
    await state('live');
    await page.keyboard.press('Home');
    await holds(page, 'log.scrollTop === 0');
    await page.locator('#pause').focus();
    await page.keyboard.press('Enter');
    await state('paused');
  });

  it('fits into 320 pixels', async () => {
    await open(50, { viewport: { width: 320, height: 560 } });
    log.line({ msg: `line 50 ${'x'.repeat(300)}`, id: 'y'.repeat(300) });
    await holds(page, "document.querySelectorAll('#lines li').length === 51");
    expect(
      await page.evaluate('[document.scrollingElement.scrollWidth, log.scrollWidth <= log.clientWidth]'),
    ).to.deep.equal([320, true]);
    for (const button of await page.getByRole('button').all()) {
      const { x = 0, width = 0, height = 0 } = (await button.boundingBox()) ?? {};
      expect(x + width).to.be.at.most(320);
      expect(height).to.be.at.least(32);
    }
    expect((await page.locator('#log').boundingBox())?.height).to.be.above(280);
  });

  it('has pictures: light, dark, narrow, paused, without a connection', async () => {
    const { LEAT_PICTURES } = process.env;
    const folder = LEAT_PICTURES ?? mkdtempSync(join(tmpdir(), 'viewer-pictures-'));
    mkdirSync(folder, { recursive: true });
    const take = async (name: string) => {
      await page.screenshot({ path: join(folder, `${name}.png`) });
    };
    await open(300, { colorScheme: 'light' });
    await take('light');
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.getByRole('button', { name: 'Show errors' }).click();
    await holds(page, "document.querySelectorAll('#lines li').length === 60");
    await take('dark');
    await page.emulateMedia({ colorScheme: 'light' });
    await page.getByRole('button', { name: 'Pause' }).click();
    log.write(40);
    await holds(page, "document.querySelector('#producer').textContent.includes('8 lines on their way')");
    await take('paused');
    await page.setViewportSize({ width: 320, height: 560 });
    await take('narrow');
    await page.setViewportSize({ width: 900, height: 560 });
    await page.getByRole('button', { name: 'Resume' }).click();
    viewer.program.kill('SIGKILL');
    await state('lost');
    await take('disconnected');
    const pictures = ['light', 'dark', 'narrow', 'paused', 'disconnected'].map(name => {
      const file = join(folder, `${name}.png`);
      expect(statSync(file).size, name).to.be.above(5000);
      return readFileSync(file, 'base64');
    });
    expect(new Set(pictures).size).to.equal(5);
    if (LEAT_PICTURES === undefined) rmSync(folder, { recursive: true });
  });
});
