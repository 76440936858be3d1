/** What the checks of the pages have in common: a client of RouteGuide, what it is told, and programs of their own. */
import { deepStrictEqual } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const { routeguide } = grpc.loadPackageDefinition(loadSync('route_guide.proto', { defaults: true })) as any;

export interface Told {
  readonly code: number;
  readonly details: string;
  readonly messages: any[];
  readonly trailer: grpc.Metadata;
}

/** A call that may be cancelled, and how it ends. */
export interface Asked {
  readonly call: any;
  readonly told: Promise<Told>;
  /** Settles with the first message. */
  readonly first: Promise<unknown>;
}

export class Client {
  private readonly client: any;

  constructor(address: string) {
    this.client = new routeguide.RouteGuide(address, grpc.credentials.createInsecure());
  }

  async ready(): Promise<void> {
    await new Promise<void>((resolve, reject) =>
      this.client.waitForReady(Date.now() + 40_000, (error?: Error) => (error ? reject(error) : resolve())),
    );
  }

  /** Whatever its kind, a call is a stream of requests and a stream of messages. */
  ask(method: string, requests: readonly object[], { open = false } = {}): Asked {
    const { path, requestSerialize, responseDeserialize } = routeguide.RouteGuide.service[method];
    const call = this.client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    const messages: any[] = [];
    const first = new Promise(resolve => call.once('data', resolve));
    call.on('data', (message: unknown) => messages.push(message));
    call.on('error', () => {});
    for (const request of requests) call.write(request);
    if (!open) call.end();
    const told = new Promise<Told>(resolve =>
      call.on('status', ({ code, details, metadata }: grpc.StatusObject) =>
        resolve({ code, details, messages, trailer: metadata }),
      ),
    );
    return { call, told, first };
  }

  async status(method: string, request: object): Promise<string> {
    const { code, details } = await this.ask(method, [request]).told;
    return `${code} ${details}`;
  }

  close(): void {
    this.client.close();
  }
}

/** A program of the page as a process of its own, which does not outlive this one. */
export class Program {
  printed = '';
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  private readonly child;

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const child = spawn(process.execPath, ['--import', 'tsx', ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    child.stdout.on('data', text => {
      this.printed += text;
    });
    this.child = child;
    this.ended = new Promise(resolve => child.once('close', (code, signal) => resolve({ code, signal })));
    process.once('exit', () => child.kill('SIGKILL'));
    process.once('SIGTERM', () => process.exit(1));
  }

  /** Tells it to stop; it ends by itself, or is made to. */
  async stop(): Promise<void> {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 10_000);
    this.child.kill('SIGTERM');
    same('the process ends by itself', await this.ended, { code: 0, signal: null });
    clearTimeout(timer);
  }
}

let passed = 0;

/** Compares, and says what was checked. */
export function same(what: string, found: unknown, expected: unknown): void {
  deepStrictEqual(found, expected, `${what}: ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`);
  passed += 1;
  console.log(`  ✔ ${what}`);
}

export async function until(what: string, holds: () => boolean): Promise<void> {
  for (const giveUp = Date.now() + 5000; !holds(); await new Promise(resolve => setTimeout(resolve, 5)))
    if (Date.now() > giveUp) throw new Error(`waited in vain until ${what}`);
}

export function done(): never {
  console.log(`  ${passed} passed`);
  process.exit(0);
}
