/** One of several servers of one feed: `server.ts PORT HISTORY`, and the address of NATS in NATS_URL. */
import { mount } from 'leat';
import { heartbeat } from 'leat/heartbeat';
import { limits } from 'leat/limits';
import { inNats } from '../nats-topic.ts';
import { streamservice } from '../protos.ts';
import { listen } from '../server.ts';
import { Updates } from '../updates.ts';

const [port, history] = process.argv.slice(2).map(Number);

await listen(
  [
    {
      service: 'streamservice.StreamService',
      port: 50051,
      async serve(server, setting) {
        const topic = await inNats(process.env.NATS_URL ?? '', setting, { history: history ?? 1000 });
        const updates = new Updates(setting, topic);
        const { StreamService } = streamservice;
        // A proxy may end a stream on which nothing comes for a second or two.
        const beats = heartbeat({ everyMs: 500, make: () => ({}) });
        // Streams move on now and then, or after a kill all would stay where they went.
        const moving = limits({ maxStreamAgeMs: 15_000 });
        mount(server, StreamService.service, { subscribeToUpdates: updates.handler }, beats, moving);
        return () => updates.close();
      },
    },
  ],
  '127.0.0.1',
  [port ?? 0],
  { speed: 1, log: () => {} },
);
