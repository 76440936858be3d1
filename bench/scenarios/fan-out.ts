import { Lab, median, type Row, type Scenario, until } from '../lab.ts';
import { updates } from '../services.ts';

/** Each by what its streams read from: an iterator of the application's own, a `channel()` each, or one `topic()`. */
const contenders = ['hand-written', 'nice-grpc', 'mount', 'channel', 'topic'];
const names: Record<string, string> = { channel: 'mount, channel each', topic: 'mount, one topic' };
const streams = 1_000;
const bursts = [1, 10];
/** The part of what a hand-written server takes for a delivery that ours may take, by burst. */
const ceilings = [0.6, 0.4];

/** One update to many streams: what a delivery costs the server. */
export const fanOut: Scenario = async ({ rounds, scale }) => {
  using lab = await Lab.open(contenders);
  const published = Math.ceil(200 * scale);

  const costs = await lab.rounds(rounds + 1, async server => {
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
    median((costs.get(name) ?? []).slice(1).map(each => each[index] ?? Number.NaN));
  const rows = contenders.map((server): Row => {
    const row: Row = { server: names[server] ?? server };
    for (const [index, burst] of bursts.entries()) {
      const name = burst === 1 ? 'one at a time' : `bursts of ${burst}`;
      row[`${name}: CPU µs/delivery`] = cost(server, index);
      row[`${name}: ratio`] = cost(server, index) / cost('hand-written', index);
    }
    return row;
  });
  const promises = bursts.flatMap((burst, index) =>
    ['mount', 'channel', 'topic'].map(server => ({
      what: `${server}: a delivery in bursts of ${burst}, of a hand-written one`,
      measured: cost(server, index) / cost('hand-written', index),
      atMost: ceilings[index] ?? 0,
    })),
  );
  return { promises, tables: [{ title: `One update to ${streams.toLocaleString('en')} streams`, rows }] };
};
