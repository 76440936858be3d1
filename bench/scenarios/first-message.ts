import { Lab, median, quantile, type Scenario } from '../lab.ts';
import { numbers } from '../services.ts';

const contenders = ['hand-written', 'nice-grpc', 'connect-node', 'produce', 'mount'];

/** Calls of one message, one after the other on a warm connection. */
export const firstMessage: Scenario = async ({ rounds, scale }) => {
  using lab = await Lab.open(contenders);
  const calls = Math.ceil(500 * scale);
  const measured = await lab.rounds(3 * rounds + 1, async server =>
    lab.sink.timeToFirst({ port: await server.port(), request: numbers(1), calls }),
  );
  const rows = [...measured].map(([server, [_warm, ...each]]) => ({
    server,
    'median µs': median(each.map(times => median(times) * 1000)),
    'p99 µs': median(each.map(times => quantile(times, 0.99) * 1000)),
  }));
  const [handWritten = Number.NaN] = rows.map(row => row['median µs']);
  const promises = rows
    .filter(({ server }) => ['produce', 'mount'].includes(server))
    .map(row => ({
      what: `${row.server}: the time to the first message, of a hand-written one`,
      measured: row['median µs'] / handWritten,
      atMost: 1.1,
    }));
  return { promises, tables: [{ title: 'Time to the first message', rows }] };
};
