/** A client for the runner to test, of server streams: `client.ts VARIANT` says who reads them. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CallOptions,
  credentials,
  Metadata,
  makeGenericClientConstructor,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import { SubscribeError, subscribe } from 'leat/client';
import { decode, definition, fill, guard, headersOf, heard, richStatus, say } from './protocol.ts';

const Client = makeGenericClientConstructor(definition, 'ConformanceService');
/** How many calls are made at once. */
const AT_ONCE = 8;
const PATIENCE_MS = 5000;

interface Seen {
  readonly payloads: unknown[];
  readonly header: Metadata | undefined;
  readonly last: Pick<StatusObject, 'code' | 'details' | 'metadata'>;
}

type Read = (
  client: any,
  asked: any,
  request: object,
  metadata: Metadata,
  options: CallOptions,
) => Promise<Seen>;

/** Runs when the client is to cancel; never when it counts messages for that. */
function cancelLater(asked: any, cancel: () => void): void {
  if (asked.cancel && !asked.cancel.afterNumResponses) setTimeout(cancel, asked.cancel.afterCloseSendMs ?? 0);
}

const bare: Read = async (client, asked, request, metadata, options) => {
  const stream = client.serverStream(request, metadata, options);
  const payloads: unknown[] = [];
  let header: Metadata | undefined;
  stream.on('metadata', (received: Metadata) => {
    header = received;
  });
  stream.on('error', () => {});
  stream.on('data', ({ payload = {} }) => {
    if (payloads.push(payload) === asked.cancel?.afterNumResponses) stream.cancel();
  });
  cancelLater(asked, () => stream.cancel());
  const last = await new Promise<StatusObject>(resolve => stream.once('status', resolve));
  return { payloads, header, last };
};

/** `leaves` is whether it breaks out of its loop, or has its signal end it. */
function subscribed(leaves: boolean): Read {
  return async (client, asked, request, metadata, { deadline }) => {
    const leaving = new AbortController();
    const stream = subscribe((...args) => client.serverStream(...args), request, {
      ...{ metadata, signal: leaving.signal, retry: [], firstFailure: 'throw' },
      ...(deadline !== undefined && { deadline: deadline as number }),
    });
    const payloads: unknown[] = [];
    let failed: unknown;
    cancelLater(asked, () => leaving.abort());
    try {
      for await (const { payload = {} } of stream as AsyncIterable<{ payload?: object }>) {
        if (payloads.push(payload) !== asked.cancel?.afterNumResponses) continue;
        leaving.abort();
        if (leaves) break;
      }
    } catch (error) {
      if (error !== leaving.signal.reason && !(error instanceof SubscribeError)) throw error;
      failed = error;
    }
    const [attempt, ...more] = stream.attempts;
    if (more.length > 0) throw new Error(`${more.length + 1} attempts were made`);
    const trailer = attempt?.status?.metadata ?? new Metadata();
    const { code, details } = failed instanceof SubscribeError ? failed : { code: status.OK, details: '' };
    return {
      payloads,
      header: attempt?.header,
      last: { code: leaving.signal.aborted ? status.CANCELLED : code, details, metadata: trailer },
    };
  };
}

const variants: Record<string, Read> = {
  bare,
  subscribe: subscribed(false),
  'subscribe, and leave': subscribed(true),
};

async function run(read: Read, asked: any): Promise<object> {
  if (asked.method !== 'ServerStream') throw new Error(`a server stream is expected, not ${asked.method}`);
  const secure = asked.serverTlsCert?.length > 0;
  const { key = null, cert = null } = asked.clientTlsCreds ?? {};
  const client = new Client(
    `${asked.host}:${asked.port}`,
    secure ? credentials.createSsl(asked.serverTlsCert, key, cert) : credentials.createInsecure(),
    {
      'grpc.enable_retries': 0,
      'grpc.use_local_subchannel_pool': 1,
      // From the numbers of the runner to those of grpc-js: gzip, and deflate.
      'grpc.default_compression_algorithm': ({ 2: 2, 5: 1 } as Record<number, 1 | 2>)[asked.compression] ?? 0,
      ...(asked.messageReceiveLimit && { 'grpc.max_receive_message_length': asked.messageReceiveLimit }),
    },
  );
  try {
    const request = decode('ServerStreamRequest', asked.requestMessages[0].value);
    const metadata = fill(new Metadata(), asked.requestHeaders);
    if (asked.requestDelayMs) await sleep(asked.requestDelayMs);
    const deadline = asked.timeoutMs === undefined ? {} : { deadline: Date.now() + asked.timeoutMs };
    const late = sleep(PATIENCE_MS, undefined, { ref: false }).then(() => {
      throw new Error('the call does not end');
    });
    const seen = await Promise.race([read(client, asked, request, metadata, deadline), late]);
    return answer(seen);
  } finally {
    client.close();
  }
}

function answer({ payloads, header, last }: Seen): object {
  const { code, details: message, metadata } = last;
  const [rich] = metadata.get('grpc-status-details-bin');
  const details = rich === undefined ? [] : richStatus.deserialize(rich as Buffer).details;
  return {
    payloads,
    responseHeaders: headersOf(header),
    responseTrailers: headersOf(metadata),
    ...(code !== status.OK && { error: { code, message, details } }),
  };
}

guard();
const name = process.argv[2] ?? 'subscribe';
const read = variants[name];
if (read === undefined) throw new Error(`no variant is called \`${name}\``);
const requests = heard('ClientCompatRequest');
const worker = async () => {
  for (let next = await requests.next(); !next.done; next = await requests.next()) {
    const { testName } = next.value;
    const result = await run(read, next.value).then(
      response => ({ response }),
      error => ({ error: { message: String(error?.stack ?? error) } }),
    );
    say('ClientCompatResponse', { testName, ...result });
  }
};
await Promise.all(Array.from({ length: AT_ONCE }, worker));
