import { credentials, status } from '@grpc/grpc-js';
import { type Method, StatusError } from 'leat';
import { subscribe } from 'leat/client';
import { poll, sleep } from 'leat/sources';
import type { JobProgress } from '../proto/generated/streamservice/JobProgress.ts';
import type { JobRequest__Output } from '../proto/generated/streamservice/JobRequest.ts';
import type { Database } from './database.ts';
import type { Example, Setting } from './example.ts';
import { streamservice } from './protos.ts';
import { retrying } from './retrying.ts';

const MAX_JOBS = 100;
const MAX_ID_LENGTH = 200;
const CHUNK = 5000;
const CHUNKS = 20;

/** Jobs that load and index rows, and how far they are. Whoever watches a job sees the same. */
export class Jobs {
  private readonly jobs = new Map<string, Job>();
  private readonly working = new Set<Job>();

  constructor(
    private readonly database: Database,
    private readonly setting: Setting,
  ) {}

  /** Asked anew every half second, so a slow client gets what is then, not what was. */
  readonly source: Method<JobRequest__Output, JobProgress> = ({ jobId }, { signal }) => {
    checkId(jobId);
    const job = this.jobs.get(jobId) ?? this.start(jobId);
    const progress = () => {
      if (this.jobs.get(jobId) !== job) throw new StatusError(status.NOT_FOUND, 'job not found');
      return job.progress;
    };
    return poll(progress, {
      everyMs: 500 / this.setting.speed,
      until: ({ status }) => status !== 'running',
      signal,
    });
  };

  /** Forgets a job, and stops it if it runs. */
  remove(id: string): boolean {
    this.jobs.get(id)?.stop();
    return this.jobs.delete(id);
  }

  /** Stops all jobs, and waits until the database is free of them. */
  async close(): Promise<void> {
    for (const id of [...this.jobs.keys()]) this.remove(id);
    await Promise.all([...this.working].map(job => job.ended));
  }

  private start(id: string): Job {
    if (this.jobs.size >= MAX_JOBS) {
      const finished = [...this.jobs].find(([, { progress }]) => progress.status !== 'running');
      if (!finished) throw new StatusError(status.RESOURCE_EXHAUSTED, 'too many jobs are running');
      this.jobs.delete(finished[0]);
    }
    const job = new Job(id, this.database, this.setting);
    this.jobs.set(id, job);
    this.working.add(job);
    void job.ended.then(() => this.working.delete(job));
    return job;
  }
}

/** One job. Between two chunks it rests, and leaves the database to others. */
class Job {
  private static started = 0;

  progress: JobProgress;
  readonly ended: Promise<void>;
  private readonly stopped = new AbortController();
  private readonly table = `job_${process.pid}_${++Job.started}`;

  constructor(
    id: string,
    private readonly database: Database,
    private readonly setting: Setting,
  ) {
    this.progress = {
      jobId: id,
      percentage: 0,
      status: 'running',
      currentStep: 'initializing',
      updatedAt: now(),
    };
    this.ended = this.work();
  }

  stop(): void {
    this.stopped.abort();
  }

  private async work(): Promise<void> {
    const { table } = this;
    try {
      await this.run(`CREATE UNLOGGED TABLE ${table} (id int, name text, score int)`);
      for (let chunk = 0; chunk < CHUNKS; chunk++) {
        this.update({ percentage: 3 * chunk, currentStep: 'loading rows' });
        await this.run(`INSERT INTO ${table} SELECT i, md5(i::text), i * 7919 % 1009
          FROM generate_series(${chunk * CHUNK}, ${(chunk + 1) * CHUNK - 1}) AS i`);
      }
      for (const [i, column] of ['id', 'name', 'score'].entries()) {
        this.update({ percentage: 60 + 10 * i, currentStep: `indexing ${column}` });
        await this.run(`CREATE INDEX ON ${table} (${column})`);
      }
      this.update({ percentage: 90, currentStep: 'gathering statistics' });
      await this.run(`ANALYZE ${table}`);
      this.update({ percentage: 95, currentStep: 'checking' });
      const found = await this.run(`SELECT count(*) FROM ${table} WHERE name = md5('${CHUNK}')`);
      if (found !== '1') throw new Error(`${found} rows where there should be one`);
      this.update({ percentage: 100, status: 'completed', currentStep: 'done' });
    } catch (error) {
      if (!this.stopped.signal.aborted) {
        this.setting.log(`job ${this.progress.jobId} failed: ${(error as Error).message}`);
        this.update({ status: 'failed' });
      }
    }
    await this.drop().catch(() => this.setting.log(`${table} is left over`));
  }

  /** One statement, and a rest; answers the first value there is. */
  private async run(sql: string): Promise<string | null | undefined> {
    const { signal } = this.stopped;
    const connection = await this.database.connect(signal);
    try {
      return (await connection.run(sql)).rows[0]?.[0];
    } finally {
      await connection.release();
      if (!signal.aborted) await sleep(250 / this.setting.speed, signal);
    }
  }

  private async drop(): Promise<void> {
    const connection = await this.database.connect();
    try {
      await connection.run(`DROP TABLE IF EXISTS ${this.table}`);
    } finally {
      await connection.release();
    }
  }

  private update(change: Partial<JobProgress>): void {
    this.progress = { ...this.progress, ...change, updatedAt: now() };
  }
}

function now(): { seconds: number; nanos: number } {
  const ms = Date.now();
  return { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 };
}

function checkId(id: string): void {
  if (id.length === 0 || id.length > MAX_ID_LENGTH)
    throw new StatusError(status.INVALID_ARGUMENT, `job_id must have 1 to ${MAX_ID_LENGTH} characters`);
}

/** Draws a progress bar. */
export const job: Pick<Example, 'usage' | 'flags' | 'show'> = {
  usage: '[--job-id ID]',
  flags: { 'job-id': { type: 'string', default: 'job-1' } },
  async show({ address, print, progress: show, text }) {
    const client = new streamservice.StreamService(address, credentials.createInsecure());
    const progress = subscribe(
      (...call) => client.watchJobProgress(...call),
      { jobId: text('job-id') },
      retrying(print),
    );
    for await (const { percentage, status, currentStep } of progress) {
      const done = '='.repeat(Math.round(percentage * 0.4));
      show(
        `[${`${done}>`.slice(0, 40).padEnd(40)}] ${String(percentage).padStart(3)}% ${status}: ${currentStep}`,
      );
    }
    client.close();
  },
};
