import { beside, Lab, median, type Row, type Scenario, until } from '../lab.ts';
import { updates } from '../services.ts';

/**
 * Each by what its streams read from: an iterator of the application's own, a `channel()` each, or one `topic()`;
 * and HTTP/2 alone.
 */
const contenders = ['hand-written', 'nice-grpc', 'mount', 'channel', 'topic', 'http2'];
const names: Record<string, string> = {
  channel: 'mount, channel each',
  topic: 'mount, one topic',
  http2: 'node:http2',
};
const streams = 1_000;
const bursts = [1, 10];
/** The first rounds, which compile. */
const warmUps = 3;
/**
 * The part of what a hand-written server takes for a delivery that ours may take, by burst. One at a time, most of it is
 * HTTP/2's and waits for memory: the less cache a machine has for a thousand streams, the nearer they come.
 */
const ceilings = [0.9, 0.4];

/** One update to many streams: what a delivery costs the server. */
export const fanOut: Scenario = async ({ rounds, scale }) => {
  using lab = await Lab.open(contenders);
  const published = Math.ceil(80 * scale);

  const costs = await lab.rounds(2 * rounds + warmUps, async server => {
    const { arrived } = await server.tally();
    const port = await server.port();
    await lab.sink.hold({ port, request: updates(), streams, connections: 10 });
    await until('all streams are open', async () => (await server.tally()).arrived === arrived + streams);
    let received = 0;
    const each: number[] = [];
    for (const burst of bursts) {
      const cpu = await server.cpu();
      for (let sent = 0; sent < published; sent += burst) {
        await server.publish(burst);
        received += burst * streams;
        await lab.sink.received(received);
      }
      const deliveries = Math.ceil(published / burst) * burst * streams;
      each.push(((await server.cpu()) - cpu) / deliveries);
    }
    await lab.sink.cancel();
    return each;
  });

  const cost = (name: string, index: number) =>
    (costs.get(name) ?? []).slice(warmUps).map(each => each[index] ?? Number.NaN);
  const ratio = (name: string, index: number) => beside(cost(name, index), cost('hand-written', index));
  const rows = contenders.map((server): Row => {
    const row: Row = { server: names[server] ?? server };
    for (const [index, burst] of bursts.entries()) {
      const name = burst === 1 ? 'one at a time' : `bursts of ${burst}`;
      row[`${name}: CPU µs/delivery`] = median(cost(server, index));
      row[`${name}: ratio`] = ratio(server, index);
    }
    return row;
  });
  const promises = bursts.flatMap((burst, index) =>
    ['mount', 'channel', 'topic'].map(server => ({
      what: `${server}: a delivery in bursts of ${burst}, of a hand-written one`,
      measured: ratio(server, index),
      atMost: ceilings[index] ?? 0,
    })),
  );
  return { promises, tables: [{ title: `One update to ${streams.toLocaleString('en')} streams`, rows }] };
};
