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

/** An entry, and what a page sends as `last-event-id` to go on after it: no field, so not sent with the entry. */
export interface PlacedEntry extends LogEntry {
  readonly position: string;
}

/**
 * The end of a log, and then what is written to it. Both are read from the file, from one place in opposite
 * directions, so nothing is missed or comes twice; and as a client pulls, so a slow one costs no memory. Looking
 * ten times a second works on every file system and for any number of clients, which `fs.watch` does not.
 * Whoever comes back with `last-event-id` gets what came after that entry, or OUT_OF_RANGE.
 */
export function tailLogs(path: string): Method<LogRequest__Output, PlacedEntry> {
  return async function* ({ serviceName, logLevel, lines, follow }, call) {
    if (logLevel !== '' && !LEVELS.includes(logLevel))
      throw new StatusError(status.INVALID_ARGUMENT, 'invalid log level');
    const [after] = call.metadata.get('last-event-id').map(String);
    const place = await (after === undefined
      ? LogPlace.end(path, call.signal)
      : LogPlace.after(path, after, call.signal));
    if (!place) throw new StatusError(status.OUT_OF_RANGE, 'the log does not have that place any more');
    const wanted = (line: string): PlacedEntry | undefined => {
      call.signal.throwIfAborted();
      const entry = entryOf(line);
      if (!entry || (serviceName !== '' && entry.service !== serviceName)) return undefined;
      if (LEVELS.indexOf(entry.level ?? '') < LEVELS.indexOf(logLevel)) return undefined;
      return { ...entry, position: place.position };
    };

    try {
      call.sendHeader(); // what is written from now on will come
      const last: PlacedEntry[] = [];
      const most = after === undefined ? Math.min(lines, MAX_LINES) : 0;
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

      for (let more = after !== undefined; more || follow; ) {
        more = false;
        for await (const line of place.more()) {
          more = true; // what was rotated away since comes file by file
          const entry = wanted(line);
          if (entry) yield entry;
        }
        if (follow) await sleep(100, call.signal);
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
