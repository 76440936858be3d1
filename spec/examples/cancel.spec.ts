import { appendFileSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import type { Database } from '../../examples/database.ts';
import { Jobs } from '../../examples/job.ts';
import { queryResults } from '../../examples/query.ts';
import { tailLogs } from '../../examples/tail.ts';
import { live } from '../../lib/call/live.ts';
import {
  closeClients,
  counting,
  embedded,
  openPostgres,
  postgres,
  serveStreams,
  watch,
} from '../support/examples.ts';
import { soon, stopAll, until } from '../support/harness.ts';
import { readOne, standstill, timers } from '../support/served.ts';

/** Holds, with no call open, within 50 ms. */
const over = (what: string, holds: () => boolean): Promise<void> =>
  soon(what, () => holds() && live.size === 0);

/** Counts what a database has lent out, and keeps what it is asked. */
function asking(database: Database): { db: ReturnType<typeof counting>; asked: string[] } {
  const asked: string[] = [];
  const db = counting({
    async connect(signal) {
      const connection = await database.connect(signal);
      const run = (sql: string) => {
        asked.push(sql);
        return connection.run(sql);
      };
      return { run, release: () => connection.release() };
    },
    close: () => database.close(),
  });
  return { db, asked };
}

/** What is left when a client leaves, beyond what the specs of each service say. */
describe('examples: what a cancel leaves', () => {
  afterEach(async () => {
    closeClients();
    await stopAll();
  });

  function leavesNoCursor(database: () => Database): void {
    const left = async (db: Database) => {
      const connection = await db.connect();
      const { rows } = await connection.run(
        `SELECT (SELECT count(*) FROM pg_cursors WHERE name = 'answer'), current_setting('transaction_read_only')`,
      );
      await connection.release();
      return rows[0];
    };

    for (const blocked of [false, true])
      it(`leaves no cursor and no transaction${blocked ? ' of a client that does not read' : ''}`, async () => {
        const { db, asked } = asking(database());
        const client = await serveStreams({ streamQueryResults: queryResults(db) });
        const before = timers();
        const query = `SELECT repeat('x', 1000) FROM generate_series(1, 3000)`;
        const { stream, ended } = watch(client.streamQueryResults({ query }), { paused: true });
        await readOne(stream);
        if (blocked) await standstill(() => asked.length);
        else stream.resume();
        expect(db.lent).to.equal(1);
        stream.cancel();
        expect((await ended).code).to.equal(status.CANCELLED);
        // What is being fetched comes to its end first; `query.spec.ts` says how soon.
        const given = () => db.lent === 0 && timers() === before;
        await (blocked ? over : until)('the connection is given back', given);
        expect(await left(db)).to.deep.equal(['0', 'off']);
      });
  }

  describe('of StreamQueryResults, embedded', () => {
    before(async function () {
      this.timeout(60_000);
      await (await embedded().connect()).release();
    });

    leavesNoCursor(embedded);
  });

  describe(`of StreamQueryResults, ${postgres}`, () => {
    let database: Database;

    before(async function () {
      database = openPostgres(this);
      await (await database.connect()).release();
    });

    after(() => database?.close());

    leavesNoCursor(() => database);

    it('cancels nothing that runs on the connection afterwards', async () => {
      const db = counting(database);
      const client = await serveStreams({ streamQueryResults: queryResults(db) });
      for (let round = 0; round < 10; round++) {
        const { stream, ended } = watch(client.streamQueryResults({ query: 'SELECT * FROM large_table' }));
        await readOne(stream);
        stream.cancel();
        await ended;
        await until('the connection is given back', () => db.lent === 0);
        const connection = await db.connect();
        await connection.run('SELECT pg_sleep(0.01)');
        await connection.release();
      }
    });
  });

  describe('of WatchJobProgress', () => {
    it('leaves the job to whoever else watches it', async function () {
      this.timeout(60_000);
      const jobs = new Jobs(embedded(), { speed: 200, log: () => {} });
      const client = await serveStreams({ watchJobProgress: jobs.source });
      const [first, second] = [1, 2].map(() => watch(client.watchJobProgress({ jobId: 'shared' })));
      await until('it has begun', () => (first?.messages.length ?? 0) > 2, 20_000);
      first?.stream.cancel();
      expect((await first?.ended)?.code).to.equal(status.CANCELLED);
      expect((await second?.ended)?.code).to.equal(status.OK);
      expect(second?.messages.at(-1)).to.deep.include({ percentage: 100, status: 'completed' });
      await jobs.close();
    });
  });

  describe('of TailLogs', () => {
    let directory: string;
    let path: string;

    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), 'cancel-spec-'));
      path = join(directory, 'service.log');
      const entry = { level: 'info', time: 1_700_000_000_000, service: 'api', msg: 'x'.repeat(2000) };
      appendFileSync(path, `${JSON.stringify(entry)}\n`.repeat(1000));
    });

    afterEach(() => rmSync(directory, { recursive: true }));

    const open = () =>
      readdirSync('/proc/self/fd').filter(fd => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`).startsWith(directory);
        } catch {
          return false;
        }
      });

    for (const [who, lines] of [
      ['waits for new lines', 1],
      ['does not read', 1000],
    ] as const)
      it(`leaves no file and no timer of a client that ${who}`, async () => {
        const client = await serveStreams({ tailLogs: tailLogs(path) });
        const before = timers();
        const { stream, ended } = watch(client.tailLogs({ lines, follow: true }), { paused: true });
        await readOne(stream);
        expect(open()).to.have.length(1);
        stream.cancel();
        await ended;
        await over('no file is open', () => open().length === 0 && timers() === before);
      });
  });
});
