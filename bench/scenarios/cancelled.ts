import { setTimeout as sleep } from 'node:timers/promises';
import { Lab, type Promised, type Row, type Scenario, type Server, type Sink, until } from '../lab.ts';
import { leave } from '../services.ts';
import { leavingPoints } from '../sources.ts';

const ours = ['produce', 'mount'];
const contenders = ['nice-grpc', ...ours];
/** Streams of one connection: fewer than the resets that Node takes for an attack. */
const batch = 250;

/** Clients that leave, at every point of a stream: whether each source was closed, and what is left. */
export const cancelled: Scenario = async ({ scale }) => {
  using lab = await Lab.open(contenders);
  const half = Math.ceil((10_000 * scale) / batch);
  const rows: Row[] = [];
  const promises: Promised[] = [];

  for (const [name, server] of lab.servers) {
    await cancelBatches(server, lab.sink, half);
    const { heapUsed } = await server.memory();
    await cancelBatches(server, lab.sink, half);
    const growth = (await server.memory()).heapUsed - heapUsed;
    const { started, finished, orphans } = await server.tally();
    rows.push({
      server: name,
      'streams cancelled': 2 * half * batch,
      'sources started': started,
      '`finally` ran': finished,
      orphans,
      'KiB grown in the second half': Math.round(growth / 1024),
    });
    if (!ours.includes(name)) continue;
    promises.push(
      { what: `${name}: sources that did not finish`, measured: Math.abs(started - finished), atMost: 0 },
      { what: `${name}: orphans`, measured: orphans, atMost: 0 },
      { what: `${name}: bytes that the heap grew by`, measured: growth, atMost: 2 ** 21 },
    );
  }
  return { tables: [{ title: 'Clients that leave, at six points of a stream', rows }], promises };
};

async function cancelBatches(server: Server, sink: Sink, batches: number): Promise<void> {
  for (let index = 0; index < batches; index++) {
    const point = leavingPoints[index % leavingPoints.length] ?? '';
    const { arrived, started } = await server.tally();
    await sink.hold({
      port: await server.port(),
      request: leave(point),
      streams: batch,
      read:
        point === 'blocked on the window' ? 'never' : point === 'after the last message' ? 'first' : 'all',
    });
    await until(`all are ${point}`, async () => (await server.tally()).arrived === arrived + batch);
    await sleep(20);
    await sink.cancel();
    await until(`all sources are finished ${point}`, async () => {
      const tally = await server.tally();
      return tally.finished === tally.started && tally.started === started + batch;
    });
  }
}
