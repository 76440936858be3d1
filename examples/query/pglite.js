/** The embedded Postgres, in a thread of its own: a query that takes long holds up no stream. */
import { parentPort } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';

const db = await PGlite.create();
for (const type of Object.keys(db.parsers)) db.parsers[type] = text => text;

parentPort?.on('message', async sql => {
  try {
    const { fields, rows, rowCount = 0 } = await db.query(sql, [], { rowMode: 'array' });
    parentPort?.postMessage({ result: { columns: fields.map(({ name }) => name), rows, count: rowCount } });
  } catch (error) {
    const { message, code } = error;
    parentPort?.postMessage({ error: { message, code } });
  }
});
