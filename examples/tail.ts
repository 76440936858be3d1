import { credentials, status } from '@grpc/grpc-js';
import { type Method, StatusError } from 'leat';
import { subscribe } from 'leat/client';
import { sleep } from 'leat/sources';
import type { LogEntry, LogEntry__Output } from '../proto/generated/streamservice/LogEntry.ts';
import type { LogRequest__Output } from '../proto/generated/streamservice/LogRequest.ts';
import type { Example } from './example.ts';
import { entryOf, LEVELS } from './log-entry.ts';
import { LogPlace } from './log-place.ts';
import { streamservice } from './protos.ts';
import { retrying } from './retrying.ts';
import { styled } from './terminal.ts';

const MAX_LINES = 10_000;
/** What history may take of memory, as characters in its lines. */
const MAX_HISTORY = 64 * 1024 * 1024;

/**
 * The end of a log, and then what is written to it. Both are read from the file, from one place in opposite
 * directions, so nothing is missed or comes twice; and as a client pulls, so a slow one costs no memory. Looking
 * ten times a second works on every file system and for any number of clients, which `fs.watch` does not.
 */
export function tailLogs(path: string): Method<LogRequest__Output, LogEntry> {
  return async function* ({ serviceName, logLevel, lines, follow }, call) {
    if (logLevel !== '' && !LEVELS.includes(logLevel))
      throw new StatusError(status.INVALID_ARGUMENT, 'invalid log level');
    const wanted = (line: string): LogEntry | undefined => {
      call.signal.throwIfAborted();
      const entry = entryOf(line);
      const matches = serviceName === '' || entry?.service === serviceName;
      return matches && LEVELS.indexOf(entry?.level ?? '') >= LEVELS.indexOf(logLevel) ? entry : undefined;
    };

    const place = await LogPlace.end(path, call.signal);
    try {
      call.sendHeader(); // what is written from now on will come
      const last: LogEntry[] = [];
      const most = Math.min(lines, MAX_LINES);
      let room = MAX_HISTORY;
      if (most > 0)
        for await (const line of place.history()) {
          const entry = wanted(line);
          if (!entry) continue;
          last.push(entry);
          room -= line.length;
          if (last.length === most || room < 0) break;
        }
      yield* last.reverse();

      while (follow) {
        for await (const line of place.more()) {
          const entry = wanted(line);
          if (entry) yield entry;
        }
        await sleep(100, call.signal);
      }
    } finally {
      await place.close();
    }
  };
}

/** Comes back by asking for more history than it needs, and leaves out what it had before. */
export const tail: Pick<Example, 'usage' | 'flags' | 'show'> = {
  usage: '[--service NAME] [--level LEVEL] [--lines N] [--follow COUNT]',
  flags: {
    service: { type: 'string', default: 'api' },
    level: { type: 'string', default: 'info' },
    lines: { type: 'string', default: '10' },
    follow: { type: 'string', default: '5' },
  },
  async show({ address, print, text, number }) {
    const client = new streamservice.StreamService(address, credentials.createInsecure());
    const lines = number('lines');
    const follow = number('follow');
    const entries = subscribe(
      (...call) => client.tailLogs(...call),
      { serviceName: text('service'), logLevel: text('level'), lines, follow: follow > 0 },
      {
        ...retrying(print),
        token: (entry: LogEntry__Output) => JSON.stringify(entry),
        dedupe: MAX_LINES,
        resume: request => ({ ...request, lines: MAX_LINES }),
      },
    );
    let left = lines + follow;
    let last = 0;
    for await (const { timestamp, level, service, message, fields } of entries) {
      const time = Number(timestamp?.seconds) * 1000 + Number(timestamp?.nanos) / 1e6;
      if (time < last) continue;
      last = time;
      const details = Object.entries(fields).map(([name, value]) => `${name}=${value}`);
      print([new Date(time).toISOString(), coloured(level), service, message, ...details].join(' '));
      if (--left === 0) break;
    }
    client.close();
  },
};

const COLOURS = { debug: 'gray', info: 'green', warn: 'yellow', error: 'red' } as const;

function coloured(level: string): string {
  const padded = level.toUpperCase().padEnd(5);
  return level in COLOURS ? styled(COLOURS[level as keyof typeof COLOURS], padded) : padded;
}
