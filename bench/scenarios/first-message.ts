import { beside, Lab, median, quantile, type Scenario } from '../lab.ts';
import { numbers } from '../services.ts';

const contenders = ['hand-written', 'nice-grpc', 'connect-node', 'produce', 'mount'];

/** Calls of one message, one after the other on a warm connection. */
export const firstMessage: Scenario = async ({ rounds, scale }) => {
  using lab = await Lab.open(contenders);
  const calls = Math.ceil(500 * scale);
  const measured = await lab.rounds(3 * rounds + 1, async server =>
    lab.sink.timeToFirst({ port: await server.port(), request: numbers(1), calls }),
  );
  const medians = (server: string) => (measured.get(server) ?? []).slice(1).map(median);
  const rows = [...measured].map(([server, [_warm, ...each]]) => ({
    server,
    'median µs': median(each.map(times => median(times) * 1000)),
    'p99 µs': median(each.map(times => quantile(times, 0.99) * 1000)),
  }));
  const promises = ['produce', 'mount'].map(server => ({
    what: `${server}: the time to the first message, of a hand-written one`,
    measured: beside(medians(server), medians('hand-written')),
    atMost: 1.1,
  }));
  return { promises, tables: [{ title: 'Time to the first message', rows }] };
};
