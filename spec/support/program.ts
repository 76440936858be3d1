import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

/** How a program ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

type Output = 'stdout' | 'stderr';

const root = fileURLToPath(new URL('../..', import.meta.url));
const running = new Set<Program>();

/** A command in processes of its own, as a stranger would start it in the repository. */
export class Program {
  readonly ended: Promise<Exit>;
  private readonly child: ChildProcess;
  private readonly written: Record<Output, string> = { stdout: '', stderr: '' };
  private readonly waiting = new Set<() => void>();
  private exit: Exit | undefined;

  constructor([command = '', ...args]: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.child = spawn(command, args, {
      cwd: root,
      env: { ...strangersEnv(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    running.add(this);
    for (const from of ['stdout', 'stderr'] as const)
      this.child[from]?.setEncoding('utf8').on('data', (text: string) => {
        this.written[from] += text;
        this.look();
      });
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', (code, signal) => {
        running.delete(this);
        this.exit = { code, signal, ...this.written };
        this.look();
        resolve(this.exit);
      });
    });
  }

  get stdout(): string {
    return this.written.stdout;
  }

  get stderr(): string {
    return this.written.stderr;
  }

  /** Waits until the output matches; rejects when the program ends without it. */
  line(pattern: RegExp, from: Output = 'stdout'): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const match = pattern.exec(this.written[from]);
        if (!match && !this.exit) return;
        this.waiting.delete(look);
        if (match) resolve(match);
        else reject(new Error(`ended without ${pattern} on ${from}: ${JSON.stringify(this.exit)}`));
      };
      this.waiting.add(look);
      look();
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Ends it with all that it has started. */
  destroy(): void {
    try {
      if (this.child.pid !== undefined) process.kill(-this.child.pid, 'SIGKILL');
    } catch {
      // There is none any more.
    }
  }

  private look(): void {
    for (const look of this.waiting) look();
  }
}

process.once('exit', () => {
  for (const program of running) program.destroy();
});

/** The command that runs a file of the repository. */
export function tsx(file: string, ...args: string[]): string[] {
  return [process.execPath, '--import', 'tsx', file, ...args];
}

/** All that a file wrote, once it has ended. */
export function run(file: string, ...args: string[]): Promise<Exit> {
  return new Program(tsx(file, ...args)).ended;
}

/** For `afterEach`: ends what a test left running, but for what is `kept`; by force what does not end soon. */
export async function killPrograms(...kept: (Program | undefined)[]): Promise<void> {
  const left = [...running].filter(program => !kept.includes(program));
  for (const program of left) program.kill('SIGTERM');
  const force = setTimeout(() => {
    for (const program of left) program.destroy();
  }, 3000);
  await Promise.all(left.map(({ ended }) => ended));
  clearTimeout(force);
}

export interface Serving extends Program {
  readonly address: string;
}

/** Serves the examples, and answers once they are served. */
export async function serveExamples(args: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Serving> {
  return served(new Program(tsx('examples/serve.ts', '--port', '0', ...args), env));
}

/** Waits until a server says where it is. */
export async function served(program: Program): Promise<Serving> {
  const [, address] = await program.line(/^listening on (127\.0\.0\.1:\d+)\n/m);
  return Object.assign(program, { address: address as string });
}

/** Takes a port of 127.0.0.1 until it is given back, and answers nobody; `undefined` when somebody has it. */
export function takePort(port = 0): Promise<{ port: number; giveBack(): Promise<void> } | undefined> {
  const taker = createServer(socket => socket.on('error', () => {}).resume());
  return new Promise(resolve => {
    taker.once('error', () => resolve(undefined));
    taker.listen(port, '127.0.0.1', () => {
      const { port } = taker.address() as { port: number };
      resolve({ port, giveBack: () => new Promise(done => taker.close(() => done())) });
    });
  });
}

/** No variable that makes an example another than it is by default. */
function strangersEnv(): NodeJS.ProcessEnv {
  const given = Object.entries(process.env).filter(
    ([name]) => !/^(OTEL_|GRPC_|DATABASE_URL$|NATS_URL$|NODE_OPTIONS$|PG)/.test(name),
  );
  return Object.fromEntries(given);
}
