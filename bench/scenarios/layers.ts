import { start } from '../child.ts';
import type { Row, Scenario } from '../lab.ts';
import type { LayersApi } from '../layers.ts';
import { numbers } from '../services.ts';
import { throughput } from './throughput.ts';

/** Nanoseconds that one layer may add to one message. */
const ceiling = 50;
const counts = [0, 1, 3, 6];
const mounts = ['produce', 'mount'];

const plural = (count: number) => (count === 1 ? '1 layer' : `${count} layers`);
const named = (mount: string, count: number) => (count === 0 ? mount : `${mount} + ${plural(count)}`);

/** What a layer that only passes messages on costs: of the sinks alone, and of the server in a whole run. */
export const layers: Scenario = async options => {
  const contenders = mounts.flatMap(mount => counts.map(count => named(mount, count)));
  const speeds = await throughput({ contenders, request: numbers }, options);
  const cpu = (mount: string, count: number) =>
    (speeds.get(named(mount, count))?.leastCpu ?? Number.NaN) * 1000;

  const costs: Record<string, (count: number) => number> = {
    'sinks alone': await sinksAlone(options.rounds),
    ...Object.fromEntries(mounts.map(mount => [mount, (count: number) => cpu(mount, count)])),
  };
  const rows = Object.entries(costs).map(([name, cost]): Row => {
    const perMessage = counts.map(count => [plural(count), cost(count)]);
    return { 'ns/message': name, ...Object.fromEntries(perMessage), 'one layer': (cost(6) - cost(0)) / 6 };
  });
  const promises = rows.map(row => ({
    what: `${row['ns/message']}: ns a message that one layer costs`,
    measured: Number(row['one layer']),
    atMost: ceiling,
  }));
  return { tables: [{ title: 'Layers that pass messages on, best of the rounds', rows }], promises };
};

async function sinksAlone(rounds: number): Promise<(count: number) => number> {
  using child = await start<LayersApi>('layers');
  const times = new Map<number, number[]>(counts.map(count => [count, []]));
  for (let round = 0; round < rounds; round++) {
    for (const count of counts) times.get(count)?.push(await child.nsPerMessage(count));
  }
  return count => Math.min(...(times.get(count) ?? []));
}
