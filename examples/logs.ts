import { randomUUID } from 'node:crypto';
import { credentials, type Metadata, status } from '@grpc/grpc-js';
import { mount, only, StatusError } from 'leat';
import { checksum } from 'leat/checksum';
import { subscribe } from 'leat/client';
import { metadata } from 'leat/metadata';
import { type Channel, channel, sleep } from 'leat/sources';
import type { LogEntry } from '../proto/generated/example/LogEntry.ts';
import type { Example } from './example.ts';
import { example } from './protos.ts';
import { retrying } from './retrying.ts';

const { service } = example.LogService;
const LEVELS = ['', 'debug', 'info', 'warn', 'error'];
const TOTAL = 5;

/** Headers before the first message, trailers after the last, and a feeder that stops with its client. */
export const logs: Example = {
  service: 'example.LogService',
  port: 50051,

  serve(server, { speed, log }) {
    const described = metadata({
      header: {
        'x-correlation-id': ({ metadata }) => metadata.get('x-correlation-id')[0] || randomUUID(),
        'x-total-count': TOTAL,
      },
      trailer: { 'x-sent-count': ({ messages }) => messages },
      flush: true,
    });
    const summed = checksum<LogEntry>({ bytes: service.GetLogs.responseSerialize });
    const isGetLogs = ({ path }: { path: string }) => path === service.GetLogs.path;

    mount(
      server,
      service,
      {
        *getLogs({ level }) {
          checkLevel(level);
          for (let i = 0; i < TOTAL; i++) yield { message: `Error ${i}`, timestamp: i };
        },
        streamLogs({ level }, { signal }) {
          checkLevel(level);
          const entries = channel<LogEntry>({ capacity: 10, signal });
          feed(entries, 100 / speed, signal).catch(() => log('the feeder stopped'));
          return entries;
        },
      },
      only(isGetLogs, described),
      only(isGetLogs, summed),
    );
  },

  usage: '[--level LEVEL] [--follow COUNT]',
  flags: { level: { type: 'string', default: '' }, follow: { type: 'string', default: '5' } },
  async show({ address, print, text, number }) {
    const client = new example.LogService(address, credentials.createInsecure());
    const request = { level: text('level') };
    const past = subscribe(client, 'getLogs', request, retrying(print));
    let header: Metadata | undefined;
    for await (const { message, timestamp } of past) {
      if (header === undefined) {
        header = past.attempts[0]?.header;
        print(`headers  ${shown(header)}`);
      }
      print(`${message} at ${timestamp}`);
    }
    print(`trailers ${shown(past.attempts[0]?.status?.metadata)}`);

    let left = number('follow');
    const live = subscribe(client, 'streamLogs', request, retrying(print));
    if (left > 0)
      for await (const { message } of live) {
        print(message);
        if (--left === 0) break;
      }
    client.close();
  },
};

function shown(metadata: Metadata | undefined): string {
  return JSON.stringify(metadata?.getMap());
}

/** Waits for room in the channel, so that a client that does not read stops it; throws when the client leaves. */
async function feed(entries: Channel<LogEntry>, everyMs: number, signal: AbortSignal): Promise<never> {
  for (let i = 0; ; i++) {
    await entries.push({ message: `Log ${i}` });
    await sleep(everyMs, signal);
  }
}

function checkLevel(level: string): void {
  if (!LEVELS.includes(level))
    throw new StatusError(status.INVALID_ARGUMENT, `unknown level '${level}': ${LEVELS.slice(1).join(', ')}`);
}
