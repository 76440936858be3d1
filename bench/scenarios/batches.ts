import { Lab, median, quantile, type Result, type Row, type Scenario } from '../lab.ts';
import { maxDelayMs } from '../servers/batch.ts';
import * as services from '../services.ts';
import { throughput } from './throughput.ts';

const sizes = [1, 10, 50, 200];
const bytes = 100;
/** So far apart, a batch is never full when its first item has waited long enough. */
const everyMs = 3;
/** What the delay may be late by. */
const slackMs = 2;
const quantiles = { 'p50 ms': 0.5, 'p99 ms': 0.99, 'max ms': 1 };

/** Without batch(), and with batches of a size. */
const unbatched = 'batch + 0 items';
const batched = (size: number) => `batch + ${size} items`;

/** Items that go together: how many come through, and how much later. */
export const batches: Scenario = async options => {
  const [speed, delay] = [await speeds(options), await delays(options)];
  return { tables: [...speed.tables, ...delay.tables], promises: delay.promises ?? [] };
};

const speeds: Scenario = async options => {
  const contenders = [unbatched, ...sizes.map(batched)];
  const request = (count: number) => services.batches(count, bytes);
  const measured = [...(await throughput({ contenders, request }, options)).values()];
  const rows = measured.map(({ rate, cpu }, index): Row => {
    return {
      server: index === 0 ? 'mount' : 'mount + batch()',
      'items/message': sizes[index - 1] ?? 1,
      'items/s': Math.round(rate),
      ratio: rate / (measured[0]?.rate ?? Number.NaN),
      'CPU µs/item': cpu,
    };
  });
  return { tables: [{ title: `Items of ${bytes} bytes, merged`, rows }] };
};

const delays: Scenario = async ({ rounds, scale }): Promise<Result> => {
  using lab = await Lab.open([unbatched, batched(200)]);
  const request = services.trickle(Math.ceil(300 * scale), everyMs);
  const measured = await lab.rounds(rounds + 1, async server =>
    lab.sink.ages({ port: await server.port(), request }),
  );
  const age = (name: string, q: number) =>
    median((measured.get(name) ?? []).slice(1).map(ages => quantile(ages, q)));
  const added = (q: number) => age(batched(200), q) - age(unbatched, q);

  const row = (server: string, value: (q: number) => number): Row => {
    return { server, ...Object.fromEntries(Object.entries(quantiles).map(([name, q]) => [name, value(q)])) };
  };
  const rows = [
    row('mount', q => age(unbatched, q)),
    row('mount + batch()', q => age(batched(200), q)),
    row('added', added),
  ];
  const promises = Object.entries(quantiles).map(([name, q]) => ({
    what: `batch(): added to the ${name}`,
    measured: added(q),
    atMost: maxDelayMs + slackMs,
  }));
  const title = `An item every ${everyMs} ms, with \`maxDelayMs: ${maxDelayMs}\`: from its yield to its receipt`;
  return { tables: [{ title, rows }], promises };
};
