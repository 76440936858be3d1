// npx tsx spec/sources/stalled.full.ts [subscribers] [seconds per round] [rounds]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import * as grpc from '@grpc/grpc-js';
import { mount } from '../../lib/index.ts';
import { type TopicSubscription, topic } from '../../lib/sources/index.ts';
import { definition, path, start, until } from '../support/harness.ts';

const CAPACITY = 16;
const EVERY_MS = 100;
/** By then every buffer on the way to the stalled one is full. */
const SETTLE_MS = 5000;
const STREAMS_PER_CHANNEL = 100;
const text = 'x'.repeat(100);
const now = () => performance.timeOrigin + performance.now();

interface Update {
  readonly at: number;
  readonly text: string;
}

// Error stacks are slow with source maps, and a thousand streams end at once here.
process.setSourceMapsEnabled(false);

/** Publishes to everybody; one client says that it is the one to stall. */
async function serverRole(): Promise<void> {
  const updates = topic<Update>({ capacity: CAPACITY, overflow: 'drop-oldest' });
  let stalled: TopicSubscription<Update> | undefined;
  const { port } = await start(server =>
    mount(server, definition, {
      stream: (request: { stall?: boolean }, { signal }) => {
        const subscription = updates.subscribe({ signal });
        if (!request.stall) return subscription;
        stalled = subscription;
        return enlarged(subscription);
      },
    }),
  );
  setInterval(() => updates.publish({ at: now(), text }), EVERY_MS);
  process.on('message', () => {
    process.send?.({ size: stalled?.size, dropped: stalled?.dropped });
    stalled = undefined;
  });
  process.send?.(port);
}

/** So large that buffers on the way are soon full. */
async function* enlarged(updates: AsyncIterable<Update>): AsyncGenerator<Update> {
  for await (const update of updates) yield { ...update, text: 'x'.repeat(20_000) };
}

function open(client: grpc.Client, request: object): grpc.ClientReadableStream<Update> {
  const { requestSerialize, responseDeserialize } = definition.stream;
  const stream = client.makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    request,
    new grpc.Metadata(),
  );
  stream.on('error', () => {});
  return stream as grpc.ClientReadableStream<Update>;
}

async function main(subscribers: number, seconds: number, rounds: number): Promise<void> {
  const server = fork(import.meta.filename, ['server'], { execArgv: ['--import', 'tsx'] });
  const [port] = await once(server, 'message');
  const channel = () =>
    new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
  const channels = Array.from({ length: Math.ceil(subscribers / STREAMS_PER_CHANNEL) }, channel);
  const p50s = { without: [] as number[], with: [] as number[] };
  const p99s = { without: [] as number[], with: [] as number[] };
  let [waiting, dropped] = [0, 0];
  let measuring: number[] | undefined;
  let connected = 0;
  for (let index = 0; index < subscribers - 1; index++) {
    const stream = open(channels[index % channels.length] as grpc.Client, {});
    stream.once('data', () => {
      connected += 1;
    });
    stream.on('data', ({ at }: Update) => measuring?.push(now() - at));
  }
  await until('all subscribed', () => connected === subscribers - 1, 60_000);

  for (let round = 0; round < rounds; round++) {
    const modes = ['without', 'with'] as const;
    for (const mode of round % 2 ? modes : [...modes].reverse()) {
      const extra = channel();
      const last = open(extra, { stall: mode === 'with' });
      if (mode === 'with') last.once('data', () => last.pause());
      else last.on('data', () => {});
      await new Promise(resolve => setTimeout(resolve, SETTLE_MS));
      const latencies: number[] = [];
      measuring = latencies;
      await new Promise(resolve => setTimeout(resolve, seconds * 1000));
      measuring = undefined;
      latencies.sort((a, b) => a - b);
      p50s[mode].push(latencies[Math.floor(latencies.length * 0.5)] as number);
      p99s[mode].push(latencies[Math.floor(latencies.length * 0.99)] as number);
      server.send('how is it');
      const [state] = await once(server, 'message');
      if (mode === 'with') [waiting, dropped] = [Math.max(waiting, state.size), dropped + state.dropped];
      last.cancel();
      extra.close();
    }
  }
  server.kill();
  for (const client of channels) client.close();
  console.log(`for the stalled one ${waiting} items of at most ${CAPACITY} waited, ${dropped} were dropped`);
  const median = (values: number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] as number;
  const shown = (values: number[]) =>
    `${median(values).toFixed(1)} ms (${values.map(ms => ms.toFixed(0)).join(' ')})`;
  for (const mode of ['without', 'with'] as const)
    console.log(`${mode} a stalled subscriber: p50 ${shown(p50s[mode])}, p99 ${shown(p99s[mode])}`);
  const ratio = median(p99s.with) / median(p99s.without);
  console.log(`ratio of the p99 medians ${ratio.toFixed(2)}`);
  process.exitCode = ratio <= 1.2 ? 0 : 1;
}

const [, , first, second, third] = process.argv;
if (first === 'server') await serverRole();
else await main(Number(first ?? 1000), Number(second ?? 4), Number(third ?? 5));
