// npx tsx spec/client/herd.full.ts [clients] [milliseconds that the server is away]
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import * as grpc from '@grpc/grpc-js';
import { subscribe } from '../../lib/client/index.ts';
import { until } from '../support/harness.ts';
import { FaultProxy } from './fault-proxy.ts';
import { histogram } from './herd.ts';
import { opener, send, serve } from './service.ts';

const PROCESSES = 4;
// Error stacks are slow with source maps, and a thousand clients fail at once here.
process.setSourceMapsEnabled(false);
const [, , first, second = '500', third] = process.argv;

/** Where the server is, behind something that can take it away. */
async function serverRole(): Promise<void> {
  const { port } = await serve(call => send(call, [1]));
  const proxy = await new FaultProxy(port).up();
  process.on('message', async message => {
    if (message === 'down') await proxy.down();
    if (message === 'up') await proxy.up();
    process.send?.('done');
  });
  process.send?.(proxy.port);
}

/** Some of the clients. Tells when all are connected, and on demand everything that was opened since. */
async function clientRole(port: string, count: number): Promise<void> {
  const opens: number[] = [];
  const waits: number[] = [];
  let [received, early, loopDelay, tick] = [0, 0, 0, performance.now()];
  setInterval(() => {
    loopDelay = Math.max(loopDelay, performance.now() - tick - 20);
    tick = performance.now();
  }, 20);
  for (let index = 0; index < count; index++) {
    const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
    let before = -1;
    const stream = subscribe(
      opener(client),
      {},
      {
        onAttempt({ retry }) {
          opens.push(Date.now());
          if (retry <= before) early += 1;
          before = retry;
        },
        onAttemptEnd: (_attempt, retryMs) => void (retryMs !== undefined && waits.push(retryMs)),
      },
    );
    void (async () => {
      for await (const _ of stream) received += 1;
    })();
  }
  await until('all connected', () => received === count, 60_000);
  process.send?.('connected');
  loopDelay = 0;
  await until('all back', () => received === 2 * count, 120_000);
  process.send?.({ opens: opens.slice(count), waits: waits.slice(0, count), early, loopDelay });
}

async function main(count: number, awayMs: number): Promise<void> {
  const role = (...args: string[]) => fork(import.meta.filename, args, { execArgv: ['--import', 'tsx'] });
  const heard = async (child: ChildProcess): Promise<any> => (await once(child, 'message'))[0];
  const server = role('server');
  const port: number = await heard(server);
  const clients = Array.from({ length: PROCESSES }, () =>
    role('clients', `${port}`, `${Math.round(count / PROCESSES)}`),
  );
  await Promise.all(clients.map(heard));
  const cutAt = Date.now();
  const reports = Promise.all(clients.map(heard));
  server.send('down');
  await new Promise(resolve => setTimeout(resolve, awayMs));
  server.send('up');
  const all: { opens: number[]; waits: number[]; early: number; loopDelay: number }[] = await reports;
  for (const child of [server, ...clients]) child.kill();

  const opens = all.flatMap(report => report.opens).map(at => at - cutAt);
  const steps = histogram(opens);
  const peak = Math.max(...steps);
  const early = all.reduce((sum, report) => sum + report.early, 0);
  console.log(`${count} clients, server away for ${awayMs} ms, all back after ${steps.length * 100} ms`);
  console.log(`opens per 100 ms: ${steps.join(' ')}`);
  console.log(`first waits per 100 ms: ${histogram(all.flatMap(report => report.waits)).join(' ')}`);
  console.log(
    `peak ${peak} (${((peak / count) * 100).toFixed(1)} % of clients) of ${opens.length} opens; ` +
      `${early} waits begun anew too early; event loop late by at most ` +
      `${Math.max(...all.map(report => report.loopDelay)).toFixed(0)} ms`,
  );
  process.exitCode = peak <= count / 10 && early === 0 ? 0 : 1;
}

if (first === 'server') await serverRole();
else if (first === 'clients') await clientRole(second, Number(third));
else await main(Number(first ?? 1000), Number(second));
