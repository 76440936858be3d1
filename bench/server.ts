import { setTimeout as sleep } from 'node:timers/promises';
import { expose } from './child.ts';
import type { Contender } from './servers/contender.ts';
import { tally, type Update } from './sources.ts';

/** `mount`, `mount + 3 layers`, or `batch + 10 items`. */
const [name, count = '0'] = String(process.argv[2]).split(' + ');
const { serve } = (await import(`./servers/${name}.js`)) as {
  serve(count: number): Promise<Contender>;
};
const contender = await serve(Number.parseInt(count, 10));

let serial = 0;

const update = (): Update => ({
  topic: 'orders/eu-west/1187',
  message: `order ${++serial} was picked, packed and handed to the carrier`,
  metadata: { region: 'eu-west', source: 'warehouse-7', trace: '4bf92f3577b34da6' },
  timestamp: Date.now(),
});

const api = {
  port: () => contender.port,
  speaks: () => contender.speaks,
  tally: () => ({ ...tally, orphans: contender.orphans?.() ?? 0 }),

  /** CPU time of this process so far, in microseconds. */
  cpu() {
    const { user, system } = process.cpuUsage();
    return user + system;
  },

  /** Bytes in use after collecting garbage. */
  async memory() {
    for (let round = 0; round < 3; round++) {
      globalThis.gc?.();
      await sleep(20);
    }
    const { heapUsed, external } = process.memoryUsage();
    return { heapUsed, external };
  },

  /**
   * Makes it a process that has lived for a while: with a heap that was collected while nothing ran. What V8 has learnt
   * of objects of which there are none just then, it learns anew, and not always as well: see lib/grpc-js/ticks.ts.
   */
  async grow() {
    await sleep(20);
    globalThis.gc?.();
  },

  publish(count: number) {
    for (let sent = 0; sent < count; sent++) contender.publish?.(update());
  },
};

export type ServerApi = typeof api;

expose(api);
