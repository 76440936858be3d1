import { credentials, status } from '@grpc/grpc-js';
import { type Source, StatusError } from 'leat';
import { subscribe } from 'leat/client';
import type { QueryRequest__Output } from '../proto/generated/streamservice/QueryRequest.ts';
import type { QueryResult } from '../proto/generated/streamservice/QueryResult.ts';
import { type Connection, type Database, type Result, SqlError } from './database.ts';
import type { Example } from './example.ts';
import { streamservice } from './protos.ts';
import { retrying } from './retrying.ts';

const DEFAULT_BATCH = 100;
const MAX_BATCH = 10_000;
/** The most rows that are asked for at a time: what a cancelled query still has to wait for. */
const SLICE = 1000;

/**
 * The rows of a query, through a cursor: the client's pace is the database's pace, whatever the table's size.
 * All of it happens in one transaction that sees one state and can change nothing. However the call ends, the
 * `finally` rolls that back, and the cursor is gone.
 */
export function queryResults(database: Database): Source<QueryRequest__Output, QueryResult> {
  return async function* ({ query, batchSize }, { signal }) {
    if (query.includes('\0')) throw new StatusError(status.INVALID_ARGUMENT, 'the query has a NUL in it');
    const size = batchSize > 0 ? Math.min(batchSize, MAX_BATCH) : DEFAULT_BATCH;
    const declare = `DECLARE answer NO SCROLL CURSOR FOR ${query}`;
    const connection = await database.connect(signal);
    try {
      await connection.run('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      await connection.run(declare);
      const total = Math.max(1, Math.ceil((await skipAll(connection)) / size));
      await connection.run('CLOSE answer');

      await connection.run(declare);
      let rows = await fetch(connection, size);
      for (let batch = 1, isLast = false; !isLast; batch++) {
        const ahead = rows.length < size ? [] : await fetch(connection, size);
        isLast = ahead.length === 0;
        yield { rows, batchNumber: batch, totalBatches: Math.max(total, batch), isLast };
        rows = ahead;
      }
    } catch (error) {
      throw statusOf(error);
    } finally {
      await connection.release();
    }
  };
}

/** How many rows there are. */
async function skipAll(connection: Connection): Promise<number> {
  for (let total = 0; ; ) {
    const { count } = await connection.run(`MOVE FORWARD ${SLICE} FROM answer`);
    total += count;
    if (count < SLICE) return total;
  }
}

/** The next rows, as many as there are up to `size`. */
async function fetch(connection: Connection, size: number): Promise<ReturnType<typeof rowsOf>> {
  const rows: ReturnType<typeof rowsOf> = [];
  while (rows.length < size) {
    const wanted = Math.min(SLICE, size - rows.length);
    const result = await connection.run(`FETCH FORWARD ${wanted} FROM answer`);
    rows.push(...rowsOf(result));
    if (result.count < wanted) break;
  }
  return rows;
}

/** Columns by name; one that is NULL is left out. */
function rowsOf({ columns, rows }: Result): { columns: Record<string, string> }[] {
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
    sql: { type: 'string', default: 'SELECT * FROM large_table' },
    'batch-size': { type: 'string', default: '500' },
  },
  async show({ address, print, text, number }) {
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
      print(`batch ${batchNumber}/${totalBatches}: ${rows.length} rows`);
    }
    print(`total rows received: ${total}`);
    client.close();
  },
};
