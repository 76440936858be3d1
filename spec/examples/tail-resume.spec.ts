import {
  appendFileSync,
  copyFileSync,
  mkdtempSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { streamservice } from '../../examples/protos.ts';
import { type PlacedEntry, tailLogs } from '../../examples/tail.ts';
import { type Methods, mount } from '../../lib/index.ts';
import { quiet } from '../support/harness.ts';
import { startWeb, type WebServer } from '../support/web-client.ts';

const { service } = streamservice.StreamService;

/** All that a stream of events said. */
interface Said {
  readonly ids: string[];
  readonly numbers: number[];
  readonly code: number;
}

describe('examples: TailLogs, come back to with an id', function () {
  this.timeout(60_000);
  let directory: string;
  let path: string;
  let server: WebServer;
  let written = 0;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tail-resume-spec-'));
    path = join(directory, 'service.log');
    written = 0;
    const methods = { tailLogs: tailLogs(path) } as Methods<typeof service>;
    server = await startWeb('web over HTTP/1.1', browser => mount(browser, service, methods, quiet), {
      token: ({ position }: PlacedEntry) => position,
    });
  });

  afterEach(async () => {
    await server.close();
    rmSync(directory, { recursive: true });
  });

  const write = (count: number) => {
    const lines = Array.from({ length: count }, () => {
      const level = ['info', 'error'][written % 2];
      // The same text and time for all, but for the number that only the spec reads.
      return `${JSON.stringify({ level, time: 1, msg: `${written++}`, pad: 'x'.repeat(40) })}\n`;
    });
    appendFileSync(path, lines.join(''));
  };
  /** A moment in which the clock of a file system goes on. */
  const tick = () => new Promise(resolve => setTimeout(resolve, 10));

  async function tail(lastId?: string, query = ''): Promise<Said> {
    const url = `${server.base}/streamservice.StreamService/TailLogs?lines=10000${query}`;
    const headers = { accept: 'text/event-stream', ...(lastId && { 'last-event-id': lastId }) };
    const text = await (await fetch(url, { headers })).text();
    const said: Said = { ids: [], numbers: [], code: Number(/"code":(\d+)/.exec(text)?.[1]) };
    for (const [, id = '', number] of text.matchAll(/^id: (.*)\ndata: .*"message":"(\d+)"/gm)) {
      said.ids.push(id);
      said.numbers.push(Number(number));
    }
    return said;
  }
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

  it('goes on after each line of its history, whichever', async () => {
    write(3000); // several chunks of the file
    const { ids, numbers } = await tail();
    expect(numbers).to.deep.equal(range(0, 3000));
    for (const at of [0, 1, 2, 600, 1500, 2998, 2999])
      expect((await tail(ids[at])).numbers, `after ${at}`).to.deep.equal(range(at + 1, 3000));
  });

  it('goes on after a line that came later by the same id, and after one that is not of its level', async () => {
    write(5);
    const { ids } = await tail();
    write(2000);
    const later = await tail(ids[4]);
    const all = await tail();
    expect(all.ids.slice(5)).to.deep.equal(later.ids);
    expect((await tail(later.ids[0], '&logLevel=error')).numbers).to.deep.equal(
      range(6, 2005).filter(n => n % 2 === 1),
    );
  });

  it('goes on in the files that the log was since', async () => {
    write(100);
    const { ids } = await tail();
    for (const name of ['3', '2', '1']) {
      write(100);
      renameSync(path, `${path}.${name}`);
      await tick();
    }
    write(100);
    expect((await tail(ids[49])).numbers).to.deep.equal(range(50, 500));
    expect((await tail(ids[49], '&logLevel=error')).numbers).to.deep.equal(
      range(50, 500).filter(n => n % 2 === 1),
    );
  });

  it('goes on in the copy of a log that was emptied', async () => {
    write(100);
    const { ids } = await tail();
    write(100);
    copyFileSync(path, `${path}.1`);
    truncateSync(path);
    await tick();
    write(500);
    expect((await tail(ids[49])).numbers).to.deep.equal(range(50, 700));
  });

  it('goes on in the log while that is copied', async () => {
    write(100);
    const { ids } = await tail();
    copyFileSync(path, `${path}.1`);
    write(10);
    expect((await tail(ids[49])).numbers).to.deep.equal(range(50, 110));
  });

  it('is told OUT_OF_RANGE when no file has the place', async () => {
    write(100);
    const { ids } = await tail();
    writeFileSync(path, '');
    written = 1000;
    write(40);
    for (const id of [ids[49], ids[20], '1', '0-0', '-1-5', '5-zz', '99999999999999999999-1', 'x'])
      expect(await tail(id), id).to.deep.equal({ ids: [], numbers: [], code: status.OUT_OF_RANGE });
  });
});
