import { mount, only } from 'leat';
import { limits } from 'leat/limits';
import { openDatabase } from './database.ts';
import type { Service } from './example.ts';
import { Jobs } from './job.ts';
import { LogFile } from './log-file.ts';
import { streamservice } from './protos.ts';
import { queryResults } from './query.ts';
import { tailLogs } from './tail.ts';
import { Updates } from './updates.ts';

const { service } = streamservice.StreamService;

/** The four methods of `streamservice.StreamService`, each from its own file, and what they are made of. */
export const streamService: Service = {
  service: 'streamservice.StreamService',
  port: 50051,

  serve(server, setting) {
    const updates = new Updates(setting);
    const publishing = updates.demo();
    const database = openDatabase({ url: process.env.DATABASE_URL });
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
      updates.close();
      log.close();
      await Promise.all([publishing, logging]);
      await jobs.close();
      await database.close();
    };
  },
};
