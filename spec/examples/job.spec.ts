import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import type { Database } from '../../examples/database.ts';
import { Jobs } from '../../examples/job.ts';
import type { JobProgress__Output } from '../../proto/generated/streamservice/JobProgress.ts';
import { all, closeClients, counting, embedded, serveStreams, watch } from '../support/examples.ts';
import { soon, stopAll, until } from '../support/harness.ts';

/** A database that is never there. */
const idle: Database = {
  connect: signal =>
    new Promise((_resolve, reject) => {
      if (!signal) reject(new Error('nothing to drop'));
      signal?.addEventListener('abort', () => reject(signal.reason));
    }),
  close: async () => {},
};

describe('examples: WatchJobProgress', () => {
  let jobs: Jobs;
  let db: ReturnType<typeof counting>;
  const logged: string[] = [];

  const serve = (speed: number, database: Database = embedded()) => {
    db = counting(database);
    jobs = new Jobs(db, { speed, log: line => logged.push(line) });
    return serveStreams({ watchJobProgress: jobs.source });
  };
  const steps = (messages: JobProgress__Output[]) => [...new Set(messages.map(one => one.currentStep))];

  before(async function () {
    this.timeout(60_000);
    await (await embedded().connect()).release();
  });

  afterEach(async () => {
    closeClients();
    await stopAll();
    await jobs.close();
    expect(db.lent).to.equal(0);
    logged.length = 0;
  });

  it('shows an unknown job from its beginning to its end', async function () {
    this.timeout(30_000);
    const client = await serve(40);
    const { messages, code, trailer } = await all(client.watchJobProgress({ jobId: 'job-1' }));
    expect(code).to.equal(status.OK);
    expect(trailer.getMap()).to.deep.equal({});
    expect(messages[0]).to.deep.include({
      jobId: 'job-1',
      percentage: 0,
      status: 'running',
      currentStep: 'initializing',
    });
    expect(messages.at(-1)).to.deep.include({ percentage: 100, status: 'completed', currentStep: 'done' });
    expect(messages.filter(one => one.status !== 'running')).to.have.length(1);
    expect(steps(messages)).to.include('loading rows');
    expect(messages.length).to.be.greaterThan(5);
    const percentages = messages.map(({ percentage }) => percentage);
    expect(percentages).to.deep.equal([...percentages].sort((a, b) => a - b));
    for (const { updatedAt } of messages)
      expect(Math.abs(Number(updatedAt?.seconds) * 1000 - Date.now())).to.be.lessThan(60_000);
    expect(logged).to.deep.equal([]);
  });

  it('does its work in the database, and leaves nothing there', async function () {
    this.timeout(30_000);
    const statements: string[] = [];
    const database: Database = {
      async connect(signal) {
        const connection = await embedded().connect(signal);
        const run = (sql: string) => {
          statements.push(sql.trim().split(' ').slice(0, 2).join(' '));
          return connection.run(sql);
        };
        return { run, release: () => connection.release() };
      },
      close: async () => {},
    };
    const client = await serve(40, database);
    await all(client.watchJobProgress({ jobId: 'work' }));
    await until('the table is dropped', () => statements.at(-1) === 'DROP TABLE' && db.lent === 0);
    const count = (what: string) => statements.filter(statement => statement === what).length;
    expect({ loads: count('INSERT INTO'), indexes: count('CREATE INDEX') }).to.deep.equal({
      loads: 20,
      indexes: 3,
    });
    const connection = await embedded().connect();
    const { rows } = await connection.run(`SELECT relname FROM pg_class WHERE relname LIKE 'job\\_%'`);
    await connection.release();
    expect(rows).to.deep.equal([]);
  });

  it('shows two watchers the same, whenever they came', async function () {
    this.timeout(30_000);
    const client = await serve(40);
    const first = watch(client.watchJobProgress({ jobId: 'shared' }));
    await until('it has begun', () => (first.messages.at(-1)?.percentage ?? 0) > 10, 20_000);
    const second = watch(client.watchJobProgress({ jobId: 'shared' }));
    await Promise.all([first.ended, second.ended]);
    expect(second.messages[0]?.percentage).to.be.greaterThan(10);
    expect(second.messages.at(-1)).to.deep.equal(first.messages.at(-1));
    const of = (messages: JobProgress__Output[]) =>
      new Map(messages.map(one => [one.percentage, `${one.status} ${one.currentStep}`]));
    const seen = of(first.messages);
    for (const [percentage, state] of of(second.messages))
      if (seen.has(percentage)) expect(state).to.equal(seen.get(percentage));
  });

  it('shows a finished job once', async function () {
    this.timeout(30_000);
    const client = await serve(200);
    const { messages } = await all(client.watchJobProgress({ jobId: 'done' }));
    const again = await all(client.watchJobProgress({ jobId: 'done' }));
    expect(again.code).to.equal(status.OK);
    expect(again.messages).to.deep.equal(messages.slice(-1));
  });

  it('answers NOT_FOUND once the job is removed, and stops it', async () => {
    const client = await serve(100);
    const { messages, ended } = watch(client.watchJobProgress({ jobId: 'gone' }));
    await until('it has begun', () => messages.length > 0);
    expect(jobs.remove('gone')).to.equal(true);
    const { code, details } = await ended;
    expect({ code, details }).to.deep.equal({ code: status.NOT_FOUND, details: 'job not found' });
    expect(messages.every(one => one.status === 'running')).to.equal(true);
    expect(jobs.remove('gone')).to.equal(false);
  });

  it('ends with `failed` when the work cannot be done', async () => {
    const broken: Database = {
      async connect() {
        throw new Error('no disk');
      },
      close: async () => {},
    };
    const client = await serve(100, broken);
    const { messages, code } = await all(client.watchJobProgress({ jobId: 'bad' }));
    expect(code).to.equal(status.OK);
    expect(messages.at(-1)).to.deep.include({ percentage: 0, status: 'failed', currentStep: 'initializing' });
    expect(logged[0]).to.equal('job bad failed: no disk');
  });

  for (const jobId of ['', 'x'.repeat(201)])
    it(`refuses a job_id of ${jobId.length} characters`, async () => {
      const client = await serve(100);
      const { messages, code, details } = await all(client.watchJobProgress({ jobId }));
      expect({ code, messages }).to.deep.equal({ code: status.INVALID_ARGUMENT, messages: [] });
      expect(details).to.match(/job_id/);
    });

  it('takes any other text for a job_id', async () => {
    const client = await serve(100);
    const jobId = `'; DROP TABLE large_table; -- é`;
    const { stream, messages } = watch(client.watchJobProgress({ jobId }));
    await until('it has begun', () => messages.length > 0);
    expect(messages[0]?.jobId).to.equal(jobId);
    stream.cancel();
  });

  it('refuses more than a hundred jobs at once', async function () {
    this.timeout(30_000);
    const client = await serve(1, idle);
    const watching = Array.from({ length: 100 }, (_, i) => watch(client.watchJobProgress({ jobId: `${i}` })));
    await until('all have begun', () => watching.every(({ messages }) => messages.length === 1));
    expect((await all(client.watchJobProgress({ jobId: '100' }))).code).to.equal(status.RESOURCE_EXHAUSTED);
    for (const { stream } of watching) stream.cancel();
  });

  it('leaves no timer within 50 ms of a cancel', async () => {
    const client = await serve(1, idle);
    const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length;
    const { messages, stream, ended } = watch(client.watchJobProgress({ jobId: 'left' }));
    await until('it has begun', () => messages.length > 0);
    const watched = timers();
    stream.cancel();
    await ended;
    await soon('the timer is gone', () => timers() < watched);
  });
});
