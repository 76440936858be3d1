import { credentials, status } from '@grpc/grpc-js';
import { type Method, StatusError } from 'leat';
import { subscribe } from 'leat/client';
import type { QueryRequest__Output } from '../proto/generated/streamservice/QueryRequest.ts';
import type { QueryResult } from '../proto/generated/streamservice/QueryResult.ts';
import { type Connection, type Database, type Result, SqlError } from './database.ts';
import type { Example } from './example.ts';
import { streamservice } from './protos.ts';
import { retrying } from './retrying.ts';

const DEFAULT_QUERY = 'SELECT * FROM large_table';
const DEFAULT_BATCH = 100;
const MAX_BATCH = 10_000;
/** The most rows that are asked for at a time: what a cancelled query still has to wait for. */
const SLICE = 1000;
/** How long a batch may wait to be counted. */
const PATIENCE_MS = 250;
const MAX_INT32 = 2 ** 31 - 1;

type Row = { columns: Record<string, string> };

/**
 * The rows of a query, through a cursor: the client's pace is the database's pace, whatever the table's size.
 * All of it happens in one transaction that sees one state and can change nothing. However the call ends, the
 * `finally` rolls that back, and the cursor is gone.
 */
export function queryResults(database: Database): Method<QueryRequest__Output, QueryResult> {
  return async function* ({ query, batchSize }, { signal }) {
    if (query.includes('\0')) throw new StatusError(status.INVALID_ARGUMENT, 'the query has a NUL in it');
    const select = query.trim() === '' ? DEFAULT_QUERY : query;
    const size = batchSize > 0 ? Math.min(batchSize, MAX_BATCH) : DEFAULT_BATCH;
    const connection = await database.connect(signal);
    try {
      await connection.run('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      await connection.run(`DECLARE answer NO SCROLL CURSOR FOR ${select}`);
      const total = new Total(connection, select);
      let rows: Row[] = [];
      for (let batch = 1, isLast = false; !isLast; batch++) {
        const began = performance.now();
        rows.push(...(await fetch(connection, size + 1 - rows.length))); // one more, to know the last
        isLast = rows.length <= size;
        const quick = performance.now() - began < PATIENCE_MS;
        if (!isLast && quick) await total.countOn(size, batch === 1 ? MAX_BATCH : 2 * MAX_BATCH);
        const expected = isLast ? batch : Math.max(batch + 1, Math.ceil((await total.rows()) / size));
        const totalBatches = Math.min(expected, MAX_INT32);
        yield { rows: rows.slice(0, size), batchNumber: batch, totalBatches, isLast };
        rows = rows.slice(size);
      }
    } catch (error) {
      throw statusOf(error);
    } finally {
      await connection.release();
    }
  };
}

/**
 * How many rows there are. A second cursor counts them, some for each batch that is sent and ahead of it: 10,000
 * before the first, so that a batch waits for no more, however many there are. Until the end is found, what the
 * planner expects is the best guess.
 */
class Total {
  private counted = 0;
  private complete = false;
  private expected: number | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly select: string,
  ) {}

  /** Counts up to `most` more: a few at first, since nobody knows yet how long a row takes. */
  async countOn(few: number, most: number): Promise<void> {
    if (this.complete) return;
    if (this.counted === 0) await this.connection.run(`DECLARE counted NO SCROLL CURSOR FOR ${this.select}`);
    const until = performance.now() + PATIENCE_MS;
    let left = most + 1;
    do {
      const wanted = Math.min(left, SLICE, Math.max(few, this.counted));
      const { count } = await this.connection.run(`MOVE FORWARD ${wanted} FROM counted`);
      this.counted += count;
      this.complete = count < wanted;
      left -= wanted;
    } while (left > 0 && !this.complete && performance.now() < until);
    if (this.complete) await this.connection.run('CLOSE counted');
  }

  /** As many as were counted, or as are expected. */
  async rows(): Promise<number> {
    if (this.complete) return this.counted;
    this.expected ??= await this.explain();
    return Math.max(this.counted, this.expected);
  }

  private async explain(): Promise<number> {
    const explain = `EXPLAIN (FORMAT JSON) DECLARE expected NO SCROLL CURSOR FOR ${this.select}`;
    const { rows } = await this.connection.run(explain);
    return JSON.parse(rows[0]?.[0] ?? '')[0].Plan['Plan Rows'];
  }
}

/** The next rows, as many as there are up to `size`. */
async function fetch(connection: Connection, size: number): Promise<Row[]> {
  const rows: Row[] = [];
  while (rows.length < size) {
    const wanted = Math.min(SLICE, size - rows.length);
    const result = await connection.run(`FETCH FORWARD ${wanted} FROM answer`);
    const again = result.columns.find((name, i, names) => names.indexOf(name) < i);
    if (again !== undefined)
      throw new StatusError(status.INVALID_ARGUMENT, `two columns are called "${again}"`);
    rows.push(...rowsOf(result));
    if (result.count < wanted) break;
  }
  return rows;
}

/** Columns by name; one that is NULL is left out. */
function rowsOf({ columns, rows }: Result): Row[] {
  return rows.map(row => {
    const entries = columns.map((name, i) => [name, row[i]] as const);
    return {
      columns: Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== null)),
    };
  });
}

/** What Postgres has against the query is for its author; what is wrong with Postgres is not. */
function statusOf(error: unknown): unknown {
  if (!(error instanceof SqlError)) return error;
  const ours = /^(08(?!P01)|53|57P|58|XX)/.test(error.code ?? '');
  return ours
    ? new StatusError(status.UNAVAILABLE, 'the database is not available', { cause: error })
    : new StatusError(status.INVALID_ARGUMENT, error.message);
}

/** Counts the batches and the rows. */
export const query: Pick<Example, 'usage' | 'flags' | 'show'> = {
  usage: '[--sql SELECT] [--batch-size N]',
  flags: {
    sql: { type: 'string', default: DEFAULT_QUERY },
    'batch-size': { type: 'string', default: '500' },
  },
  async show({ address, print, progress, text, number }) {
    const client = new streamservice.StreamService(address, credentials.createInsecure());
    const batches = subscribe(
      (...call) => client.streamQueryResults(...call),
      { query: text('sql'), batchSize: number('batch-size') },
      retrying(print),
    );
    let total = 0;
    for await (const { rows, batchNumber, totalBatches } of batches) {
      if (batchNumber === 1) total = 0; // also when it had to begin anew
      total += rows.length;
      progress(`batch ${batchNumber}/${totalBatches}: ${rows.length} rows`);
    }
    print(`total rows received: ${total}`);
    client.close();
  },
};
