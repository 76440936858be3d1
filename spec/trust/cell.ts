import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { status } from '@grpc/grpc-js';
import { type Reply, type ServerProcess, TestClient } from './client.ts';
import { applies, type Column, must, type Row, SECRET, sleep, Wrong } from './row.ts';
import type { State } from './server.ts';
import type { Tally } from './tally.ts';

/** What came of one row in one column: `ok`, `n.a.`, or why it fails. */
export type Verdict = string;

const WATCHDOG_MS = 20_000;
/** How long a process that was told to end may take, half a second of grace among it. */
const EXIT_MS = 3000;
const FINALLY_MS = 1000;

const script = fileURLToPath(new URL('server.ts', import.meta.url));

/** A server in a process of its own. */
class Cell implements ServerProcess {
  port = 0;
  written = '';
  readonly ended: Promise<void>;
  private readonly child: ChildProcess;

  constructor(row: Row, column: Column) {
    this.child = fork(script, [row.name, column], {
      execArgv: ['--import', 'tsx', '--expose-gc'],
      stdio: ['ignore', 'pipe', process.env.LEAT_TRUST_LOG ? 'inherit' : 'ignore', 'ipc'],
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.written += text;
    });
    this.ended = once(this.child, 'close').then(() => {});
  }

  async ready(): Promise<void> {
    const first = await Promise.race([once(this.child, 'message'), this.ended]);
    if (!first) throw new Error('the server does not start: LEAT_TRUST_LOG=1 shows why');
    this.port = first[0].port;
  }

  isAlive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  async state(collected = false): Promise<State> {
    must(this.isAlive(), 'the process dies');
    const answer = once(this.child, 'message').then(([state]) => state as State);
    this.child.send(collected ? 'collected' : 'state', () => {});
    const dead = this.ended.then(() => {
      throw new Wrong('the process dies');
    });
    const blocked = sleep(5000).then(() => {
      throw new Wrong('the event loop is blocked');
    });
    for (const one of [answer, dead, blocked]) one.catch(() => {});
    return Promise.race([answer, dead, blocked]);
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** What the process wrote when it ended by itself. */
  lastTally(): Tally | undefined {
    return this.written === '' ? undefined : JSON.parse(this.written);
  }

  get exitCode(): number | null {
    return this.child.exitCode;
  }
}

/** Runs one cell, and comes to a verdict. */
export async function judge(row: Row, column: Column): Promise<Verdict> {
  if (!applies(row, column)) return 'n.a.';
  const cell = new Cell(row, column);
  const client = new TestClient(cell);
  const watchdog = sleep(WATCHDOG_MS).then(() => ['not over within 20 s']);
  try {
    await cell.ready();
    const reasons = await Promise.race([look(row, cell, client), watchdog]);
    return reasons.length === 0 ? 'ok' : [...new Set(reasons)].slice(0, 2).join('; ');
  } finally {
    client.close();
    cell.kill('SIGKILL');
    await cell.ended;
  }
}

/** All that is wrong. */
async function look(row: Row, cell: Cell, client: TestClient): Promise<string[]> {
  const reasons: string[] = [];
  const attempt = async (run: () => unknown) => {
    try {
      await run();
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      reasons.push(error.message);
    }
  };
  await attempt(async () => {
    const replies = await (row.client?.(client) ?? client.read());
    for (const reply of [replies ?? []].flat()) reasons.push(...faultsOf(reply, row));
  });
  if (row.exits) {
    await attempt(() => exited(cell));
    return reasons;
  }
  // A process that dies of a call does so within some turns of its event loop.
  await sleep(50);
  if (!cell.isAlive()) return ['the process dies'];
  await attempt(() =>
    client.until('`finally` does not run', ({ started, finished }) => started <= finished, FINALLY_MS),
  );
  await attempt(async () => {
    const next = await client.read({ path: '/trust.Trust/Next' });
    must(next.code === status.OK && next.messages.length === 3, 'the next call fails');
  });
  if (!cell.isAlive()) return ['the process dies'];
  return reasons;
}

function* faultsOf(reply: Reply, { status: right, messages }: Row): Generator<string> {
  const { code } = reply;
  if (code === undefined) yield reply.hangs ? 'the client hangs' : 'no status';
  else if (right && !right.includes(code)) yield `status ${status[code] ?? code}`;
  if (messages !== undefined && reply.messages.length !== messages)
    yield `${reply.messages.length} of ${messages} messages`;
  if (JSON.stringify([reply.details, reply.header, reply.trailer]).includes(SECRET))
    yield 'the client reads a secret';
}

async function exited(cell: Cell): Promise<void> {
  await Promise.race([cell.ended, sleep(EXIT_MS)]);
  must(!cell.isAlive(), 'the process does not end');
  must(cell.exitCode === 0, 'the process dies');
  const { started, finished } = cell.lastTally() ?? { started: 1, finished: 0 };
  must(started === finished, '`finally` does not run');
}
