import { Metadata, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { type Database, openDatabase } from '../../examples/database.ts';
import { queryResults } from '../../examples/query.ts';
import type { QueryResult } from '../../proto/generated/streamservice/QueryResult.ts';
import {
  all,
  closeClients,
  counting,
  embedded,
  openPostgres,
  postgres,
  serveStreams,
  watch,
} from '../support/examples.ts';
import { soon, stopAll, until } from '../support/harness.ts';
import { readOne } from '../support/served.ts';

/** Everything that both engines do. */
function behaves(database: () => Database): void {
  type Row = Record<string, string>;
  let db: ReturnType<typeof counting>;
  const serve = async () => {
    db = counting(database());
    return serveStreams({ streamQueryResults: queryResults(db) });
  };
  const ask = async (query: string, batchSize = 0) => {
    const client = await serve();
    const reply = await all(client.streamQueryResults({ query, batchSize }));
    await until('the connection is given back', () => db.lent === 0);
    return { ...reply, rows: reply.messages.flatMap(({ rows }) => rows.map(row => row.columns as Row)) };
  };

  it('streams large_table in batches, in order', async () => {
    const { messages, rows, code, header, trailer } = await ask('SELECT * FROM large_table', 500);
    expect(code).to.equal(status.OK);
    expect(messages.map(({ batchNumber }) => batchNumber)).to.deep.equal(
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
    expect(messages.every(({ totalBatches }) => totalBatches === 20)).to.equal(true);
    expect(messages.map(({ isLast }) => isLast).indexOf(true)).to.equal(19);
    expect(rows).to.have.length(10_000);
    for (const [i, row] of rows.entries())
      expect(row).to.deep.equal({ id: `${i}`, name: `Record ${i}`, value: (i * 1.5).toFixed(2) });
    expect(header).to.be.instanceOf(Metadata);
    expect(trailer.getMap()).to.deep.equal({});
  });

  const sizes = [
    { asked: 0, first: 100, batches: 100 },
    { asked: -1, first: 100, batches: 100 },
    { asked: -(2 ** 31), first: 100, batches: 100 },
    { asked: 3333, first: 3333, batches: 4 },
    { asked: 9999, first: 9999, batches: 2 },
    { asked: 10_000, first: 10_000, batches: 1 },
    { asked: 2 ** 31 - 1, first: 10_000, batches: 1 },
  ];
  for (const { asked, first, batches } of sizes)
    it(`sends ${batches} batches for a batch_size of ${asked}`, async () => {
      const { messages, rows } = await ask('SELECT id FROM large_table', asked);
      expect(messages[0]?.rows).to.have.length(first);
      expect(messages.map(({ isLast }) => isLast)).to.deep.equal([...Array(batches - 1).fill(false), true]);
      expect(messages.map(({ totalBatches }) => totalBatches)).to.deep.equal(Array(batches).fill(batches));
      expect(rows).to.have.length(10_000);
    });

  it('bounds a batch to 10,000 rows', async () => {
    const { messages } = await ask('SELECT i FROM generate_series(1, 10001) i', 2 ** 31 - 1);
    expect(messages.map(({ rows }) => rows.length)).to.deep.equal([10_000, 1]);
  });

  it('sends one empty batch for no rows', async () => {
    const { messages, code } = await ask('SELECT * FROM large_table WHERE false');
    expect(code).to.equal(status.OK);
    expect(messages).to.deep.equal([{ rows: [], batchNumber: 1, totalBatches: 1, isLast: true }]);
  });

  it('sends values as Postgres writes them, and leaves NULL out', async () => {
    const { rows } = await ask(
      `SELECT 1.50::numeric n, true b, ARRAY[1, 2] a, '{"k": 1}'::json j, NULL AS nothing, '' AS empty,
        DATE '2024-02-29' AS d, 9007199254740993 AS big -- the end`,
    );
    const big = '9007199254740993';
    expect(rows).to.deep.equal([
      { n: '1.50', b: 't', a: '{1,2}', j: '{"k": 1}', empty: '', d: '2024-02-29', big },
    ]);
  });

  for (const query of ['', ' ', '\r\n\t '])
    it(`streams large_table for ${JSON.stringify(query)}`, async () => {
      const { messages, rows, code } = await ask(query, 10_000);
      expect(code).to.equal(status.OK);
      expect(messages.map(({ isLast, totalBatches }) => ({ isLast, totalBatches }))).to.deep.equal([
        { isLast: true, totalBatches: 1 },
      ]);
      expect(rows).to.have.length(10_000);
      expect(rows[1]).to.deep.equal({ id: '1', name: 'Record 1', value: '1.50' });
    });

  for (const query of [
    'SELECT 1 AS n;',
    ' /* hello */ select 1 as n',
    'WITH q AS (SELECT 1 AS n) SELECT n FROM q',
    '(SELECT 1 AS n)',
    'SELECT 1 AS n UNION SELECT 1',
    'SELECT 1 AS n ; -- the end',
  ])
    it(`takes ${query}`, async () => {
      expect((await ask(query)).rows).to.deep.equal([{ n: '1' }]);
    });

  it('takes TABLE and VALUES, which are SELECT by other names', async () => {
    expect((await ask('TABLE large_table')).rows).to.have.length(10_000);
    expect((await ask('VALUES (1, NULL), (2, 3)')).rows).to.deep.equal([
      { column1: '1' },
      { column1: '2', column2: '3' },
    ]);
  });

  it('says how many batches there will be as well as it knows, and how many there were at last', async () => {
    // Nothing tells the planner that half of the rows are even, and no more than 10,000 are counted for the first.
    const { messages } = await ask('SELECT i FROM generate_series(1, 80000) i WHERE i % 2 = 0', 1000);
    const totals = messages.map(({ totalBatches }) => totalBatches);
    expect(messages).to.have.length(40);
    expect(totals[0]).to.be.within(2, 40);
    expect(totals).to.deep.equal([...totals].sort((a, b) => a - b));
    expect(totals.slice(20)).to.deep.equal(Array(20).fill(40));
  });

  for (const batchSize of [100, 10_000])
    it(`does not wait for a million rows before a first batch of ${batchSize}`, async () => {
      const db = counting(database());
      const query = 'SELECT id FROM large_table, generate_series(1, 100)';
      const { signal } = new AbortController();
      const source = queryResults(db) as (request: object, call: object) => AsyncGenerator<QueryResult>;
      const batches = source({ query, batchSize }, { signal });
      const { value } = await batches.next();
      const { moved } = db;
      await batches.return(undefined);
      expect(value).to.deep.include({ batchNumber: 1, totalBatches: 1_000_000 / batchSize, isLast: false });
      expect(value.rows).to.have.length(batchSize);
      expect(moved).to.be.at.most(batchSize + 1 + 10_001);
    });

  it('says 2,147,483,647 batches for more than an int32 can say', async () => {
    const client = await serve();
    const query = 'SELECT a.id FROM large_table a, large_table b, large_table c';
    const { stream, ended } = watch(client.streamQueryResults({ query, batchSize: 1 }), { paused: true });
    expect((await readOne(stream)).totalBatches).to.equal(2 ** 31 - 1);
    stream.cancel();
    await ended;
    await until('the connection is given back', () => db.lent === 0);
  });

  it('does not run a slow query twice to know its size', async () => {
    const query = 'SELECT i FROM generate_series(1, 60) i, LATERAL (SELECT pg_sleep(0.01 + i * 0)) AS slow';
    const { messages } = await ask(query, 30);
    expect(messages.map(({ rows }) => rows.length)).to.deep.equal([30, 30]);
    expect(db.moved).to.equal(60);
  });

  it('ends with the last batch also when the rows are not the ones that were counted', async () => {
    const { messages, rows, code } = await ask(
      'SELECT i FROM generate_series(1, 500) i WHERE random() < 0.5',
      10,
    );
    expect(code).to.equal(status.OK);
    expect(rows.length).to.be.greaterThan(100);
    expect(messages.map(({ isLast }) => isLast).indexOf(true)).to.equal(messages.length - 1);
    for (const { batchNumber, totalBatches } of messages) expect(totalBatches).to.be.at.least(batchNumber);
  });

  const refused: [query: string, message: RegExp][] = [
    ['-- nothing', /^syntax error at end of input$/],
    [';', /^syntax error at or near ";"$/],
    ['SELEC 1', /^syntax error at or near "SELEC"$/],
    ['SELECT nope FROM large_table', /^column "nope" does not exist$/],
    ['SELECT * FROM nowhere', /^relation "nowhere" does not exist$/],
    ['SELECT 1; SELECT 2', /^cannot insert multiple commands into a prepared statement$/],
    ['SELECT 1; DROP TABLE large_table', /^cannot insert multiple commands/],
    ['SELECT 1; COMMIT; DROP TABLE large_table', /^cannot insert multiple commands/],
    ['DROP TABLE large_table', /^syntax error at or near "DROP"$/],
    ['INSERT INTO large_table VALUES (1)', /^syntax error at or near "INSERT"$/],
    ['DELETE FROM large_table RETURNING *', /^syntax error at or near "DELETE"$/],
    ['EXPLAIN SELECT 1', /^syntax error at or near "EXPLAIN"$/],
    ['COMMIT', /^syntax error at or near "COMMIT"$/],
    ['SELECT * INTO copy FROM large_table', /SELECT ... INTO/],
    ['WITH d AS (DELETE FROM large_table RETURNING *) SELECT * FROM d', /data-modifying/],
    ['SELECT * FROM large_table FOR UPDATE', /read-only transaction/],
    ["SELECT set_config('transaction_read_only', 'off', false)", /read-write mode/],
    ['SELECT $1::int', /parameter|bind message/],
    ['SELECT 1 / (id - 700) FROM large_table', /^division by zero$/],
    ['SELECT 1\0', /NUL/],
    ['SELECT 1 AS a, 2 AS b, 3 AS a', /^two columns are called "a"$/],
  ];
  for (const [query, message] of refused)
    it(`refuses ${JSON.stringify(query)}`, async () => {
      const { messages, code, details, trailer } = await ask(query);
      expect({ code, messages }).to.deep.equal({ code: status.INVALID_ARGUMENT, messages: [] });
      expect(details).to.match(message);
      expect(Object.keys(trailer.getMap())).to.have.members(['content-type', 'date']);
      const { rows } = await ask('SELECT count(*) AS n FROM large_table');
      expect(rows).to.deep.equal([{ n: '10000' }]);
    });

  it('keeps no setting for the next query', async () => {
    await ask("SELECT set_config('search_path', 'nowhere', false)");
    expect((await ask('SELECT id FROM large_table LIMIT 1')).rows).to.deep.equal([{ id: '0' }]);
    await ask('SELECT pg_advisory_lock(7)');
    const locks = "SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory'";
    expect((await ask(locks)).rows).to.deep.equal([{ n: '0' }]);
  });

  it('gives the connection back within 50 ms of a cancel', async () => {
    const client = await serve();
    const { stream, messages, ended } = watch(
      client.streamQueryResults({ query: 'SELECT * FROM generate_series(1, 1000000) i', batchSize: 100 }),
    );
    await until('some batches are here', () => messages.length >= 3, 9000);
    expect(db.lent).to.equal(1);
    stream.cancel();
    expect((await ended).code).to.equal(status.CANCELLED);
    await soon('the connection is given back', () => db.lent === 0);
  });

  it('gives the connection back when a client that does not read leaves', async () => {
    const client = await serve();
    const query = 'SELECT l.* FROM large_table l, generate_series(1, 20)';
    const { stream, ended } = watch(client.streamQueryResults({ query, batchSize: 1000 }), { paused: true });
    await readOne(stream);
    expect(db.lent).to.equal(1);
    stream.cancel();
    await ended;
    await until('the connection is given back', () => db.lent === 0);
    expect((await ask('SELECT 1 AS n')).rows).to.deep.equal([{ n: '1' }]);
  });

  it('serves queries that come at once, each in full', async () => {
    const client = await serve();
    const replies = await Promise.all(
      Array.from({ length: 12 }, () =>
        all(client.streamQueryResults({ query: 'SELECT id FROM large_table LIMIT 2500', batchSize: 1000 })),
      ),
    );
    for (const { messages } of replies)
      expect(messages.map(({ rows }) => rows.length)).to.deep.equal([1000, 1000, 500]);
  });
}

describe('examples: StreamQueryResults', () => {
  afterEach(async () => {
    closeClients();
    await stopAll();
  });

  describe('embedded', () => {
    before(async function () {
      this.timeout(60_000);
      await (await embedded().connect()).release();
    });

    behaves(embedded);

    it('lets the others go on when one that waits in line is cancelled', async () => {
      const client = await serveStreams({ streamQueryResults: queryResults(embedded()) });
      const holder = await embedded().connect();
      const waiting = [1, 2, 3].map(n => watch(client.streamQueryResults({ query: `SELECT ${n} AS n` })));
      await new Promise(resolve => setTimeout(resolve, 20));
      waiting[1]?.stream.cancel();
      await waiting[1]?.ended;
      const order: number[] = [];
      for (const [i, { ended }] of waiting.entries()) void ended.then(() => order.push(i));
      await holder.release();
      await until('the others are served', () => order.length === 3);
      expect(order).to.deep.equal([1, 0, 2]);
    });
  });

  describe(postgres, () => {
    let database: Database | undefined;

    before(async function () {
      database = openPostgres(this);
    });

    after(() => database?.close());

    behaves(() => database as Database);

    it('cancels a statement that does not end by itself', async () => {
      const db = counting(database as Database);
      const client = await serveStreams({ streamQueryResults: queryResults(db) });
      const { stream, ended } = watch(client.streamQueryResults({ query: 'SELECT pg_sleep(60)' }));
      await until('it runs', () => db.lent === 1);
      await new Promise(resolve => setTimeout(resolve, 20));
      stream.cancel();
      await ended;
      await soon('the connection is given back', () => db.lent === 0);
    });

    it('answers UNAVAILABLE for a server that is not there', async () => {
      const away = openDatabase({ url: 'postgres://127.0.0.1:1/nowhere' });
      const client = await serveStreams({ streamQueryResults: queryResults(away) });
      const { code, details } = await all(client.streamQueryResults({ query: 'SELECT 1' }));
      expect({ code, details }).to.deep.equal({
        code: status.UNAVAILABLE,
        details: 'the database is not available',
      });
      await away.close();
    });
  });
});
