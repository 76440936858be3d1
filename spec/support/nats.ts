import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager, type StreamInfo } from '@nats-io/jetstream';
import { connect, type NatsConnection, type NodeConnectionOptions } from '@nats-io/transport-node';
import {
  type JetStreamEvent,
  type JetStreamTopic,
  type JetStreamTopicOptions,
  jetstreamTopic,
} from '../../lib/nats/index.ts';
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
  /** How large a file of it may get, as if the disk were full then: in blocks of the shell's `ulimit`. */
  fileBlocks: number | 'unlimited' = 'unlimited';

  private constructor(
    readonly program: string,
    readonly port: number,
    readonly store: string,
    private readonly args: readonly string[],
  ) {}

  static async start(...args: string[]): Promise<NatsServer> {
    const taken = await takeLowPort();
    await taken.giveBack();
    const store = mkdtempSync(join(tmpdir(), 'leat-nats-'));
    const server = new NatsServer(natsServer() ?? '', taken.port, store, args.length > 0 ? args : ['-js']);
    running.add(server);
    await server.up();
    return server;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Starts it on what it has stored, and resolves once it answers. */
  async up(): Promise<void> {
    const args = ['-a', '127.0.0.1', '-p', `${this.port}`, '-sd', this.store, ...this.args];
    const limited = `ulimit -f ${this.fileBlocks}; exec "$0" "$@"`;
    this.child = spawn('sh', ['-c', limited, this.program, ...args], { stdio: 'ignore' });
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

  /** Lets it read its settings again. */
  reload(): void {
    this.child?.kill('SIGHUP');
  }

  /** Deletes the stream `updates`. */
  async clear(): Promise<void> {
    const nc = await this.connect();
    const jsm = await jetstreamManager(nc);
    await jsm.streams.delete('updates').catch(() => {});
    await nc.close();
  }

  /** Keeps a copy of what is stored, while it is down. */
  save(): void {
    rmSync(`${this.store}.saved`, { recursive: true, force: true });
    cpSync(this.store, `${this.store}.saved`, { recursive: true });
  }

  /** Goes back to that copy, while it is down. */
  rollBack(): void {
    rmSync(this.store, { recursive: true });
    cpSync(`${this.store}.saved`, this.store, { recursive: true });
  }

  async destroy(): Promise<void> {
    await this.down();
    running.delete(this);
    for (const folder of [this.store, `${this.store}.saved`])
      rmSync(folder, { recursive: true, force: true });
  }

  /** A connection as the documentation asks for one. */
  connect(options: NodeConnectionOptions = {}): Promise<NatsConnection> {
    return connect({
      ...{
        servers: this.url,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 50,
        timeout: 2000,
        noAsyncTraces: true,
      },
      ...options,
    });
  }
}

/** Below the ports of connections: one of those that dial a server that is down would take its port. */
async function takeLowPort() {
  for (let tries = 0; tries < 100; tries++) {
    const taken = await takePort(10_000 + Math.floor(Math.random() * 20_000));
    if (taken) return taken;
  }
  throw new Error('no free port');
}

const folders: string[] = [];

/** A file with settings of a server. */
export function configFile(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'leat-nats-'));
  folders.push(folder);
  const file = join(folder, 'nats.conf');
  writeFileSync(file, text);
  return file;
}

process.once('exit', () => {
  for (const server of running) void server.down();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
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

const found = natsServer();

/** The title of specs that need a NATS server, with the reason if they are skipped. */
export const nats: string = `JetStream${found ? '' : ' (skipped: no nats-server on the PATH or in NATS_SERVER)'}`;

/** Not every machine has a NATS server; where one is promised (LEAT_REQUIRE_ENGINES), a missing one is a failure. */
export async function startNats(hook: Mocha.Context, ...args: string[]): Promise<NatsServer> {
  if (found) return NatsServer.start(...args);
  if (process.env.LEAT_REQUIRE_ENGINES === '1') throw new Error('there is no nats-server');
  return hook.skip();
}

/** Ends all servers that a spec started. */
export async function stopNats(): Promise<void> {
  await Promise.all([...running].map(server => server.destroy()));
}

/** A topic on a connection of its own, as another process would have it. */
export interface Opened<T> extends JetStreamTopic<T> {
  readonly nc: NatsConnection;
  readonly events: JetStreamEvent[];
  leave(): Promise<void>;
}

const opened = new Set<Opened<never>>();

/** Opens the stream `updates`, made if it is missing. */
export async function open<T = number>(
  server: NatsServer,
  options: Partial<JetStreamTopicOptions<T>> = {},
  connection: NodeConnectionOptions = {},
): Promise<Opened<T>> {
  const nc = await server.connect(connection);
  const events: JetStreamEvent[] = [];
  const topic = await jetstreamTopic<T>(nc, {
    ...{ stream: 'updates', subject: 'updates', create: {}, capacity: 100_000 },
    onEvent: event => events.push(event),
    ...options,
  }).catch(async error => {
    await nc.close();
    throw error;
  });
  const leave = async () => {
    opened.delete(one as Opened<never>);
    await topic.close();
    await nc.close();
  };
  const one: Opened<T> = Object.setPrototypeOf({ nc, events, leave }, topic);
  opened.add(one as Opened<never>);
  return one;
}

/** For `afterEach`: closes all topics and their connections. */
export async function leaveAll(): Promise<void> {
  await Promise.all([...opened].map(topic => topic.leave()));
}

/** What NATS says of the stream `updates`. */
export async function infoOf({ nc }: { readonly nc: NatsConnection }): Promise<StreamInfo> {
  return (await jetstreamManager(nc)).streams.info('updates');
}

/** Publishes numbers, many at a time, in order. */
export async function publishAll(topic: JetStreamTopic<number>, from: number, to: number): Promise<number[]> {
  const sent: Promise<number>[] = [];
  for (let number = from; number <= to; number++) {
    sent.push(topic.publish(number));
    if (sent.length % 256 === 0) await sent.at(-1);
  }
  return Promise.all(sent);
}

/** The numbers from one to another. */
export function span(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
