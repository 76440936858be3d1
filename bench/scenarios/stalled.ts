import { setTimeout as sleep } from 'node:timers/promises';
import { Lab, median, type Scenario, type Server } from '../lab.ts';
import { chunks } from '../services.ts';

const contenders = ['hand-written', 'readable-pipe', 'nice-grpc', 'connect-node', 'produce', 'mount'];
const streams = 50;
const size = 16 * 1024;

/** Clients that never read: how far a source runs ahead of them, and what a server holds for each. */
export const stalled: Scenario = async ({ rounds }) => {
  using lab = await Lab.open(contenders);
  const request = chunks(1_000_000, size);
  for (const server of lab.servers.values()) {
    await lab.sink.readAll({ port: await server.port(), request: chunks(1_000, size), streams: 4 });
  }

  const held = await lab.rounds(rounds, async server => {
    const memory = await server.memory();
    const { pulled } = await server.tally();
    await lab.sink.hold({ port: await server.port(), request, streams, read: 'never' });
    const ahead = (await settled(server)) - pulled;
    const now = await server.memory();
    await lab.sink.cancel();
    return {
      messages: ahead / streams,
      bytes: (now.heapUsed + now.external - memory.heapUsed - memory.external) / streams,
    };
  });
  const rows = [...held].map(([server, each]) => ({
    server,
    'messages ahead/stream': median(each.map(({ messages }) => messages)),
    'KiB held/stream': median(each.map(({ bytes }) => bytes)) / 1024,
  }));
  return { tables: [{ title: `${streams} clients that never read, 16 KiB messages`, rows }] };
};

/** How many messages were pulled when no more are. */
async function settled(server: Server): Promise<number> {
  for (let last = -1; ; ) {
    await sleep(200);
    const { pulled } = await server.tally();
    if (pulled === last) return pulled;
    last = pulled;
  }
}
