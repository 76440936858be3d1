// npx tsx --expose-gc spec/sources/leaks.full.ts [subscriptions] [of them through a server]
import { getEventListeners } from 'node:events';
import { subscribe } from '../../lib/client/index.ts';
import { counters, mount } from '../../lib/index.ts';
import { topic } from '../../lib/sources/index.ts';
import { opener } from '../client/service.ts';
import { definition, start, stopAll, until } from '../support/harness.ts';

const count = Number(process.argv[2] ?? 100_000);
const served = Number(process.argv[3] ?? 5000);
const updates = topic<{ number: number }>({ history: 100 });
const heap = () => {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 2 ** 20;
};

/** Leaves a subscription in one of the ways there are. */
async function inProcess(round: number, signal: AbortSignal): Promise<void> {
  const subscription = updates.subscribe(round % 2 ? { signal } : { signal, after: updates.last });
  const pending = round % 3 === 0 ? subscription.next() : undefined;
  if (round % 5 === 0) updates.publish({ number: round });
  await subscription.return?.();
  await pending;
}

const { signal } = new AbortController();
for (let round = 0; round < count / 10; round++) await inProcess(round, signal);
let before = heap();
for (let round = 0; round < count; round++) await inProcess(round, signal);
console.log(
  `${count} subscriptions: ${updates.subscribers} entries, ${getEventListeners(signal, 'abort').length} listeners, ` +
    `${timers()} timers left; heap grew by ${(heap() - before).toFixed(2)} MB`,
);

const { client } = await start(server =>
  mount(server, definition, {
    stream: (_request: unknown, call) => updates.subscribe({ signal: call.signal }),
  }),
);
async function throughServer(round: number): Promise<void> {
  const stream = subscribe(opener(client), {}, { signal });
  const pending = stream.next();
  for (let turns = 0; turns < round % 7; turns++) await new Promise(resolve => setImmediate(resolve));
  if (round % 5 === 0) updates.publish({ number: round });
  await stream.return?.();
  await pending;
}
for (let round = 0; round < served / 10; round++) await throughServer(round);
await until('all gone', () => updates.subscribers === 0);
before = heap();
for (let round = 0; round < served; round++) await throughServer(round);
await until('all gone', () => updates.subscribers === 0);
const grown = heap() - before;
client.close();
await stopAll();
console.log(
  `${served} through mount and the client: ${updates.subscribers} entries, ` +
    `${getEventListeners(signal, 'abort').length} listeners, ${counters().orphans} orphans left; ` +
    `heap grew by ${grown.toFixed(2)} MB`,
);

function timers(): number {
  return process.getActiveResourcesInfo().filter(name => name === 'Timeout').length;
}
