import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const children = new Set<ChildProcess>();
const folders: string[] = [];

/** What ends with this process, however that ends. */
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));

export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'leat-scale-out-'));
  folders.push(made);
  return made;
}

/** Whether a program is there to be started. */
export function isThere(program: string, flag: string): boolean {
  try {
    execFileSync(program, [flag], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A program that is killed and started again. */
export class Killable {
  private child: ChildProcess | undefined;

  constructor(
    private readonly command: readonly string[],
    private readonly port: number,
    /** Of a server of ours, which says on stderr what goes wrong; others say more than that. */
    private readonly env?: NodeJS.ProcessEnv,
  ) {}

  /** Resolves when it listens. One that ends before is started again, as whoever looks after it would do. */
  async start(): Promise<void> {
    for (let left = 5; ; left--) {
      try {
        return await this.launch();
      } catch (error) {
        if (left === 0) throw error;
        console.error(`${(error as Error).message}; it is started again`);
        await new Promise(go => setTimeout(go, 200));
      }
    }
  }

  private async launch(): Promise<void> {
    const [program = '', ...args] = this.command;
    const child = spawn(program, args, {
      stdio: ['ignore', 'ignore', this.env ? 'inherit' : 'ignore'],
      env: { ...process.env, ...this.env },
    });
    this.child = child;
    children.add(child);
    let ended: string | undefined;
    const over = (how: string) => {
      ended ??= how;
      children.delete(child);
    };
    child.once('exit', (code, signal) => over(`ended by ${signal ?? code}`));
    child.once('error', ({ message }) => over(`could not be started: ${message}`));
    while (!(await answers(this.port))) {
      if (ended !== undefined) throw new Error(`${this.command.join(' ')} ${ended}`);
      await new Promise(go => setTimeout(go, 20));
    }
  }

  /** kill -9. */
  async kill(): Promise<void> {
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exit = new Promise(go => child.once('exit', go));
    child.kill('SIGKILL');
    await exit;
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = dial(port, '127.0.0.1');
    const answer = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
  });
}

/**
 * A port of 127.0.0.1 that nobody has, below those that the system gives to connections: it would be taken by one
 * of the clients that dial while a program is killed and started again.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise(resolve => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
