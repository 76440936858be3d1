import { mount, only } from 'leat';
import { limits } from 'leat/limits';
import { openDatabase } from './database.ts';
import type { Service, Setting } from './example.ts';
import { Jobs } from './job.ts';
import { LogFile } from './log-file.ts';
import { streamservice } from './protos.ts';
import { queryResults } from './query.ts';
import { tailLogs } from './tail.ts';
import { inProcess, type UpdateTopic } from './update-topic.ts';
import { Updates } from './updates.ts';

const { service } = streamservice.StreamService;

/** The four methods of `streamservice.StreamService`, each from its own file, and what they are made of. */
export const streamService: Service = {
  service: 'streamservice.StreamService',
  port: 50051,

  async serve(server, setting) {
    const { DATABASE_URL, NATS_URL } = process.env;
    const updates = new Updates(setting, await updateTopic(NATS_URL, setting));
    const publishing = updates.demo();
    const database = openDatabase({ url: DATABASE_URL });
    const jobs = new Jobs(database, setting);
    const log = new LogFile();
    const logging = log.demo(setting.speed);

    // A client that does not read must not keep the one connection of the embedded database for ever.
    const reading = only(
      ({ path }) => path === service.StreamQueryResults.path,
      limits({ maxStallMs: 10_000 }),
    );
    mount(
      server,
      service,
      {
        subscribeToUpdates: updates.handler,
        streamQueryResults: queryResults(database),
        watchJobProgress: jobs.source,
        tailLogs: tailLogs(log.path),
      },
      reading,
    );
    return async () => {
      await updates.close();
      log.close();
      await Promise.all([publishing, logging]);
      await jobs.close();
      await database.close();
    };
  },
};

/** Nothing of NATS is loaded when there is none. */
async function updateTopic(url: string | undefined, setting: Setting): Promise<UpdateTopic> {
  if (!url) return inProcess();
  const { inNats } = await import('./nats-topic.ts');
  return inNats(url, setting);
}
