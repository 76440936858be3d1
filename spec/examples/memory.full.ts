/**
 * Memory of the example servers, by the length of what they stream: 10,000 and 1,000,000 numbers or rows.
 *
 *     npx tsx spec/examples/memory.full.ts [numbers] [embedded] [postgres]
 *
 * Each server is a process of its own, fresh for each run, and looks at its memory every millisecond while a
 * client in this process reads one stream, after some of 10,000 that warm it up. PostgreSQL needs `DATABASE_URL`.
 * Fails when the median peak of the long stream is above 1.3 times that of the short one.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { credentials, Server } from '@grpc/grpc-js';
import pg from 'pg';
import { openDatabase } from '../../examples/database.ts';
import { numbers } from '../../examples/numbers.ts';
import { streamservice, tutorial } from '../../examples/protos.ts';
import { queryResults } from '../../examples/query.ts';
import { bind } from '../../examples/server.ts';
import { mount } from '../../lib/index.ts';

const SHORT = 10_000;
const LONG = 1_000_000;
const RUNS = 3;
const WARM_UPS = 20;
const MOST = 1.3;

type Kind = 'numbers' | 'embedded' | 'postgres';

/** The largest seen, in bytes; `heap` is what V8 uses of its heap, and what that holds outside of it. */
interface Peak {
  readonly rss: number;
  readonly heap: number;
}

/** Serves, and says on demand how much memory that took since it was last asked. */
async function serverRole(kind: Kind, rows: number): Promise<void> {
  const server = new Server();
  if (kind === 'numbers') void numbers.serve(server, { speed: 1, log: () => {} });
  else {
    const database = openDatabase({ rows, url: kind === 'postgres' ? urlOf(rows) : undefined });
    mount(server, streamservice.StreamService.service, { streamQueryResults: queryResults(database) });
  }
  let peak: Peak = { rss: 0, heap: 0 };
  setInterval(() => {
    const { rss, heapUsed, external } = process.memoryUsage();
    peak = { rss: Math.max(peak.rss, rss), heap: Math.max(peak.heap, heapUsed + external) };
  }, 1);
  process.on('message', () => {
    process.send?.(peak);
    peak = { rss: 0, heap: 0 };
  });
  process.on('error', () => process.exit());
  process.send?.(await bind(server, '127.0.0.1', 0));
}

/** A table of each size has a schema of its own. */
const schemaOf = (rows: number) => `leat_memory_${rows}`;

function urlOf(rows: number): string {
  const url = new URL(process.env.DATABASE_URL ?? '');
  url.searchParams.set('options', `-c search_path=${schemaOf(rows)}`);
  return url.href;
}

/** The peak of one stream, on a fresh server. */
async function run(kind: Kind, count: number): Promise<Peak> {
  const server = fork(import.meta.filename, ['server', kind, String(count)], {
    execArgv: ['--import', 'tsx'],
  });
  try {
    const [address] = await once(server, 'message');
    for (let i = 0; i < WARM_UPS; i++) await read(kind, address, SHORT);
    await peakOf(server);
    await read(kind, address, count);
    return await peakOf(server);
  } finally {
    server.kill();
    await once(server, 'exit');
  }
}

async function peakOf(server: ChildProcess): Promise<Peak> {
  server.send('peak');
  return (await once(server, 'message'))[0];
}

/** Reads a stream to its end. */
async function read(kind: Kind, address: string, count: number): Promise<void> {
  let received = 0;
  if (kind === 'numbers') {
    const client = new tutorial.NumberService(address, credentials.createInsecure());
    for await (const _number of client.listNumbers({ max: count })) received += 1;
    client.close();
  } else {
    const client = new streamservice.StreamService(address, credentials.createInsecure());
    const query = `SELECT * FROM large_table${count === SHORT ? ` LIMIT ${SHORT}` : ''}`;
    for await (const { rows } of client.streamQueryResults({ query, batchSize: 500 }))
      received += rows.length;
    client.close();
  }
  if (received !== count) throw new Error(`${received} of ${count} came`);
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** Answers whether memory stays as it is. */
async function compare(kind: Kind): Promise<boolean> {
  const peaks: Record<number, Peak[]> = { [SHORT]: [], [LONG]: [] };
  for (let round = 0; round < RUNS; round++)
    for (const count of [SHORT, LONG]) peaks[count]?.push(await run(kind, count));
  let good = true;
  for (const what of ['rss', 'heap'] as const) {
    const of = (count: number) => median((peaks[count] ?? []).map(peak => peak[what]));
    const ratio = of(LONG) / of(SHORT);
    good &&= ratio <= MOST;
    console.log(`${kind}, ${what}: ${mib(of(SHORT))}, then ${mib(of(LONG))}: ${ratio.toFixed(2)} times`);
  }
  return good;
}

/** Makes the schemas while something runs. */
async function withSchemas(something: () => Promise<boolean>): Promise<boolean> {
  const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  const drop = () =>
    client.query([SHORT, LONG].map(rows => `DROP SCHEMA IF EXISTS ${schemaOf(rows)} CASCADE`).join(';'));
  try {
    await drop();
    for (const rows of [SHORT, LONG]) await client.query(`CREATE SCHEMA ${schemaOf(rows)}`);
    return await something();
  } finally {
    await drop();
    await client.end();
  }
}

const [first, kind, rows] = process.argv.slice(2);
if (first === 'server') await serverRole(kind as Kind, Number(rows));
else {
  const asked = process.argv.slice(2);
  const wanted = (name: Kind) => asked.length === 0 || asked.includes(name);
  const results: boolean[] = [];
  if (wanted('numbers')) results.push(await compare('numbers'));
  if (wanted('embedded')) results.push(await compare('embedded'));
  if (wanted('postgres') && process.env.DATABASE_URL)
    results.push(await withSchemas(() => compare('postgres')));
  else if (wanted('postgres')) console.log('postgres: no DATABASE_URL, left out');
  if (results.includes(false)) process.exitCode = 1;
}
