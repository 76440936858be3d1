import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type NatsConnection, type NodeConnectionOptions } from '@nats-io/transport-node';
import { takePort } from './program.ts';

/** The program, from NATS_SERVER or the PATH; nothing when there is none. */
export function natsServer(): string | undefined {
  const program = process.env.NATS_SERVER ?? 'nats-server';
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return program;
  } catch {
    return undefined;
  }
}

const running = new Set<NatsServer>();

/** A `nats-server` with JetStream on a file store of its own, that can be killed and started again. */
export class NatsServer {
  private child: ChildProcess | undefined;

  private constructor(
    readonly program: string,
    readonly port: number,
    readonly store: string,
    private readonly args: readonly string[],
  ) {}

  static async start(...args: string[]): Promise<NatsServer> {
    const taken = await takePort();
    if (taken === undefined) throw new Error('no free port');
    await taken.giveBack();
    const store = mkdtempSync(join(tmpdir(), 'leat-nats-'));
    const server = new NatsServer(natsServer() ?? '', taken.port, store, args);
    running.add(server);
    await server.up();
    return server;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Starts it on what it has stored, and resolves once it answers. */
  async up(): Promise<void> {
    const args = ['-a', '127.0.0.1', '-p', `${this.port}`, '-js', '-sd', this.store, ...this.args];
    this.child = spawn(this.program, args, { stdio: 'ignore' });
    for (let tries = 0; tries < 500; tries++) {
      if (await answers(this.port)) return;
      await sleep(10);
    }
    throw new Error(`${this.program} did not start on port ${this.port}`);
  }

  /** kill -9, unless told otherwise. */
  async down(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise(resolve => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  async destroy(): Promise<void> {
    await this.down();
    running.delete(this);
    rmSync(this.store, { recursive: true, force: true });
  }

  /** A connection as the documentation asks for one. */
  connect(options: NodeConnectionOptions = {}): Promise<NatsConnection> {
    return connect({
      ...{ servers: this.url, maxReconnectAttempts: -1, reconnectTimeWait: 50, noAsyncTraces: true },
      ...options,
    });
  }
}

process.once('exit', () => {
  for (const server of running) void server.down();
});

function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connectSocket(port, '127.0.0.1');
    socket.once('data', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
    socket.setTimeout(1000, () => socket.destroy());
    socket.once('data', () => socket.destroy());
  });
}

/** Says why specs are left out where there is no NATS; where all engines are required, that is a failure. */
export function needsNats(): string | undefined {
  if (natsServer() !== undefined) return undefined;
  const why = 'there is no nats-server on the PATH or in NATS_SERVER';
  if (process.env.LEAT_REQUIRE_ENGINES === '1') throw new Error(why);
  return why;
}
