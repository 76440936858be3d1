import { Lab, type Row, type Scenario, type Server, type Sink, until } from '../lab.ts';
import { park } from '../services.ts';

const ours = ['produce', 'mount'];
const contenders = ['hand-written', 'nice-grpc', ...ours];
const titles = { 'before the headers: B/stream': false, 'after the headers: B/stream': true };

/** Streams whose source waits: what each takes of the heap. */
export const idleHeap: Scenario = async ({ scale }) => {
  const streams = Math.ceil(1_000 * scale) * 10;
  const rows: Row[] = contenders.map(server => ({ server }));
  for (const [title, early] of Object.entries(titles)) {
    using lab = await Lab.open(contenders);
    for (const row of rows) {
      const server = lab.servers.get(String(row.server));
      if (server) row[title] = await heapPerStream(server, lab.sink, streams, early);
    }
  }
  const [handWritten] = rows;
  const promises = rows
    .filter(({ server }) => ours.includes(String(server)))
    .flatMap(row =>
      Object.keys(titles).map(title => ({
        what: `${row.server}: ${title} over a hand-written one`,
        measured: Number(row[title]) - Number(handWritten?.[title]),
        atMost: 3 * 1024,
      })),
    );
  return { promises, tables: [{ title: `${streams.toLocaleString('en')} idle streams`, rows }] };
};

async function heapPerStream(server: Server, sink: Sink, streams: number, early: boolean): Promise<number> {
  const port = await server.port();
  const hold = async (count: number) => {
    const { arrived } = await server.tally();
    await sink.hold({ port, request: park(early), streams: count, connections: 10 });
    await until('all streams are parked', async () => (await server.tally()).arrived === arrived + count);
  };
  await hold(500);
  const { heapUsed } = await server.memory();
  await hold(streams);
  return Math.round(((await server.memory()).heapUsed - heapUsed) / streams);
}
