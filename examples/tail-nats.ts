import { status } from '@grpc/grpc-js';
import { type JetStreamClient, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { type Method, StatusError } from 'leat';
import { type JetStreamTopic, jetstreamTopic } from 'leat/nats';
import { sleep } from 'leat/sources';
import type { LogEntry } from '../proto/generated/streamservice/LogEntry.ts';
import type { LogRequest__Output } from '../proto/generated/streamservice/LogRequest.ts';
import { entryOf, LEVELS } from './log-entry.ts';
import { LogPlace } from './log-place.ts';

/** How many entries a server has at hand for those who ask for history. */
const KEPT = 10_000;

/** The agent, beside each service: whatever is written to a log from now on is stored under a subject. */
export async function ship(
  path: string,
  nc: NatsConnection,
  subject: string,
  signal: AbortSignal,
): Promise<void> {
  const js: JetStreamClient = jetstream(nc);
  const place = await LogPlace.end(path, signal);
  try {
    for (;;) {
      for await (const line of place.more()) if (entryOf(line)) await js.publish(subject, line);
      await sleep(100, signal);
    }
  } finally {
    await place.close();
  }
}

interface Stored {
  readonly sequence: number;
  readonly entry: LogEntry;
}

/** The logs of all agents, for a server: the same stream for every server there is. */
export function openLogs(nc: NatsConnection): Promise<JetStreamTopic<Stored>> {
  return jetstreamTopic<Stored>(nc, {
    ...{ stream: 'logs', subject: 'logs.all', subjects: 'logs.>' },
    create: { subjects: ['logs.>'], max_age: 7 * 24 * 3600 * 1e9, max_bytes: 10 * 2 ** 30 },
    ...{ history: KEPT, capacity: 1000, poison: 'skip', gaps: 'expected' },
    decode: (bytes, { sequence }) => {
      const entry = entryOf(Buffer.from(bytes).toString());
      if (!entry) throw new Error('no entry of a log');
      return { sequence, entry };
    },
  });
}

/** `TailLogs` of all of them: the last entries that this server has at hand, and then what is stored. */
export function tailStored(logs: JetStreamTopic<Stored>): Method<LogRequest__Output, LogEntry> {
  const kept: Stored[] = [];
  void keep(logs, kept);
  return async function* ({ serviceName, logLevel, lines, follow }, call) {
    if (logLevel !== '' && !LEVELS.includes(logLevel))
      throw new StatusError(status.INVALID_ARGUMENT, 'invalid log level');
    const filter = ({ entry }: Stored) =>
      (serviceName === '' || entry.service === serviceName) &&
      LEVELS.indexOf(String(entry.level)) >= LEVELS.indexOf(logLevel);
    // In one turn, so that what is stored meanwhile is in one of the two.
    const last = lines > 0 ? kept.filter(filter).slice(-lines) : [];
    const after = kept.at(-1)?.sequence ?? logs.last;
    const next = follow ? logs.subscribe({ signal: call.signal, after, filter }) : [];
    call.sendHeader();
    for (const { entry } of last) yield entry;
    for await (const { entry } of next) yield entry;
  };
}

/** Keeps the last entries as they come, from what NATS has of them on. */
async function keep(logs: JetStreamTopic<Stored>, kept: Stored[]): Promise<void> {
  let after = Math.max(0, logs.last - KEPT);
  while (logs.state !== 'closed')
    try {
      for await (const stored of logs.subscribe({ after, overflow: 'drop-oldest' })) {
        kept.push(stored);
        if (kept.length > 1.1 * KEPT) kept.splice(0, kept.length - KEPT);
        after = stored.sequence;
      }
    } catch {
      after = logs.last; // NATS was away, or has another stream now
      await sleep(1000);
    }
}
