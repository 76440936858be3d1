import { Worker } from 'node:worker_threads';
import { status } from '@grpc/grpc-js';
import { StatusError } from 'leat';
import pg from 'pg';

/** What a statement answered: values as Postgres writes them. */
export interface Result {
  readonly columns: string[];
  readonly rows: (string | null)[][];
  /** Rows fetched, moved over or changed. */
  readonly count: number;
}

export interface Connection {
  /** Runs one statement. Rejects at once when the signal of `connect` aborts. */
  run(sql: string): Promise<Result>;
  /** Ends what is running, rolls back what is open, and gives the connection to the next. */
  release(): Promise<void>;
}

export interface Database {
  /** Waits for a connection, in the order of asking; the signal leaves the line. */
  connect(signal?: AbortSignal): Promise<Connection>;
  close(): Promise<void>;
}

/** What Postgres has against a statement. */
export class SqlError extends Error {
  constructor(
    message: string,
    readonly code: string | undefined,
  ) {
    super(message);
  }
}

export interface DatabaseOptions {
  /** Of a PostgreSQL server; without it, Postgres is embedded. */
  readonly url?: string | undefined;
  /** How many rows `large_table` gets where there is none. */
  readonly rows?: number | undefined;
}

/** Nothing is started or connected to before the first `connect`. */
export function openDatabase({ url, rows = 10_000 }: DatabaseOptions = {}): Database {
  // With what ANALYZE finds, the planner knows how many rows there are.
  const table = `DO $$ BEGIN
    IF to_regclass('large_table') IS NULL THEN
      CREATE UNLOGGED TABLE large_table AS
        SELECT i AS id, 'Record ' || i AS name, (i * 1.5)::numeric(20, 2) AS value
        FROM generate_series(0, ${rows - 1}) AS i;
      ANALYZE large_table;
    END IF;
  END $$`;
  return url ? new PostgreSql(url, table) : new Embedded(table);
}

/** PGlite: one connection, for which the others wait in line. */
class Embedded implements Database {
  private engine: Promise<Engine> | undefined;
  private readonly line: (() => void)[] = [];
  private busy = false;

  constructor(private readonly setUp: string) {}

  async connect(signal?: AbortSignal): Promise<Connection> {
    await orAborted(this.started(), signal);
    await this.turn(signal);
    try {
      const engine = await orAborted(this.started(), signal);
      return new Lease(engine, signal, () => this.next());
    } catch (error) {
      this.next();
      throw error;
    }
  }

  async close(): Promise<void> {
    const engine = await this.engine?.catch(() => undefined);
    await engine?.stop();
  }

  private started(): Promise<Engine> {
    this.engine ??= this.start().catch(error => {
      this.engine = undefined;
      throw error;
    });
    return this.engine;
  }

  private async start(): Promise<Engine> {
    const engine = new Engine(() => {
      this.engine = undefined;
    });
    await engine.run(this.setUp);
    return engine;
  }

  private turn(signal: AbortSignal | undefined): Promise<void> | void {
    signal?.throwIfAborted();
    if (!this.busy) {
      this.busy = true;
      return;
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.line.splice(this.line.indexOf(turn), 1);
        reject(signal?.reason);
      };
      const turn = () => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      signal?.addEventListener('abort', leave, { once: true });
      this.line.push(turn);
    });
  }

  private next(): void {
    const turn = this.line.shift();
    if (turn) turn();
    else this.busy = false;
  }
}

/** The thread of PGlite, one statement at a time. It keeps no process alive that has nothing to ask it. */
class Engine implements Session {
  private readonly worker = new Worker(new URL('./query/pglite.js', import.meta.url));
  private asked: { resolve(result: Result): void; reject(error: Error): void } | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(onExit: () => void) {
    this.worker.on('message', ({ result, error }) => {
      const { asked } = this;
      this.idle();
      if (error) asked?.reject(new SqlError(error.message, error.code));
      else asked?.resolve(result);
    });
    this.worker.on('error', () => {});
    this.worker.on('exit', () => {
      onExit();
      const { asked } = this;
      this.idle();
      asked?.reject(unavailable());
    });
  }

  run(sql: string): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.worker.threadId < 0) return reject(unavailable());
      this.asked = { resolve, reject };
      this.worker.ref();
      this.worker.postMessage(sql);
    });
  }

  /** WebAssembly cannot be told to stop: what does not end soon takes the engine with it, and a new one starts. */
  interrupt(): void {
    this.timer = setTimeout(() => this.stop(), 1000);
  }

  async stop(): Promise<void> {
    await this.worker.terminate();
  }

  private idle(): void {
    this.asked = undefined;
    clearTimeout(this.timer);
    this.worker.unref();
  }
}

/** PostgreSQL: a connection for each, up to ten. */
class PostgreSql implements Database {
  private readonly pool: pg.Pool;
  private ready: Promise<unknown> | undefined;

  constructor(
    private readonly url: string,
    private readonly setUp: string,
  ) {
    this.pool = new pg.Pool({ connectionString: url, max: 10, allowExitOnIdle: true });
    this.pool.on('error', () => {});
  }

  async connect(signal?: AbortSignal): Promise<Connection> {
    this.ready ??= this.pool.query(this.setUp).catch(() => {
      this.ready = undefined;
    });
    await orAborted(this.ready, signal);
    const connecting = this.pool.connect();
    try {
      const client = await orAborted(connecting, signal);
      return new Lease(new Backend(client, this.url), signal, broken => client.release(broken));
    } catch (error) {
      connecting.then(
        client => client.release(),
        () => {},
      );
      throw signal?.aborted ? error : unavailable(error);
    }
  }

  close(): Promise<void> {
    return this.pool.end();
  }
}

class Backend implements Session {
  private pid: string | null | undefined;

  constructor(
    private readonly client: pg.PoolClient,
    private readonly url: string,
  ) {}

  async run(sql: string): Promise<Result> {
    this.pid ??= (await this.ask('SELECT pg_backend_pid()')).rows[0]?.[0];
    return this.ask(sql);
  }

  /** Asks the server to cancel, over a connection of its own: those of the pool may all be busy. */
  async interrupt(): Promise<void> {
    const other = new pg.Client({ connectionString: this.url, connectionTimeoutMillis: 5000 });
    try {
      await other.connect();
      await other.query('SELECT pg_cancel_backend($1)', [this.pid]);
    } catch {
      // Then it runs to its end.
    } finally {
      other.end().catch(() => {});
    }
  }

  /** By callback: rows that a promise of node-postgres answers are garbage that only a full collection finds. */
  private ask(text: string): Promise<Result> {
    const config = { text, rowMode: 'array' as const, queryMode: 'extended', types: asText };
    return new Promise((resolve, reject) => {
      void this.client.query<(string | null)[]>(config, (error: Error | undefined, result) => {
        if (error instanceof pg.DatabaseError) return reject(new SqlError(error.message, error.code));
        if (error) return reject(unavailable(error));
        const { fields, rows, rowCount } = result;
        resolve({ columns: fields.map(({ name }) => name), rows, count: rowCount ?? 0 });
      });
    });
  }
}

const asText = { getTypeParser: () => (text: string) => text } as pg.CustomTypesConfig;

interface Session {
  run(sql: string): Promise<Result>;
  /** Orders what is running to end; the promise says that the order was carried out, or will not be. */
  interrupt(): Promise<void> | void;
}

/** A connection while somebody has it. */
class Lease implements Connection {
  private running: Promise<unknown> | undefined;

  constructor(
    private readonly session: Session,
    private readonly signal: AbortSignal | undefined,
    private readonly giveBack: (broken: boolean) => void,
  ) {}

  run(sql: string): Promise<Result> {
    const result = this.session.run(sql);
    const settled = () => {
      this.running = undefined;
    };
    this.running = result.then(settled, settled);
    return orAborted(result, this.signal);
  }

  async release(): Promise<void> {
    // An order to cancel that came late would hit what the next one runs.
    await Promise.all([this.running, this.running && this.session.interrupt()]);
    this.giveBack(!(await this.cleared()));
  }

  /** Rolls back, and then lets go of what outlives a transaction, such as advisory locks. */
  private async cleared(): Promise<boolean> {
    try {
      await this.session.run('ROLLBACK');
      await this.session.run('DISCARD ALL');
      return true;
    } catch {
      return false;
    }
  }
}

function unavailable(cause?: unknown): StatusError {
  return new StatusError(status.UNAVAILABLE, 'the database is not available', { cause });
}

/** What a promise says, or that the signal aborted, whichever comes first. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  let abort: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (abort) signal.removeEventListener('abort', abort);
  }
}
