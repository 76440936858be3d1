import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import { live } from '../../lib/call/live.ts';
import {
  type Call,
  drain,
  type EndReason,
  type Kind,
  type Middleware,
  StatusError,
} from '../../lib/index.ts';
import { limits } from '../../middleware/limits.ts';
import { logging } from '../../middleware/logging.ts';
import { metrics } from '../../middleware/metrics.ts';
import { tracing } from '../../middleware/tracing.ts';
import { type MountName, mountNames, until } from './harness.ts';
import { type AnyMethod, calling, serveKind, service, streamsIn, streamsOut } from './kinds.ts';
import { type Finished, startOtel } from './otel.ts';
import { bounded } from './otel-complete.ts';
import { rawCall } from './raw.ts';

/** The ways of ending, and what is told of each. */
const ways: Readonly<Record<string, { code: status; reason: EndReason }>> = {
  completed: { code: status.OK, reason: 'completed' },
  answered: { code: status.NOT_FOUND, reason: 'error' },
  thrown: { code: status.UNKNOWN, reason: 'error' },
  unencodable: { code: status.INTERNAL, reason: 'error' },
  limit: { code: status.RESOURCE_EXHAUSTED, reason: 'limit' },
  cancelled: { code: status.CANCELLED, reason: 'cancelled' },
  deadline: { code: status.DEADLINE_EXCEEDED, reason: 'deadline' },
  disconnected: { code: status.CANCELLED, reason: 'disconnected' },
  drain: { code: status.UNAVAILABLE, reason: 'drain' },
};
const names = Object.keys(ways);

const wayOf = ({ metadata }: Pick<Call, 'metadata'>) => String(metadata.get('x-way')[0]);

/** Answers once, in the way that is asked for; what its client streams is read first, as far as it comes. */
async function answer(requests: unknown, call: Call): Promise<unknown> {
  call.sendHeader();
  const way = wayOf(call);
  if (streamsIn(call.kind))
    for await (const _ of requests as AsyncIterable<unknown>) if (way !== 'completed') break;
  if (way === 'answered') throw new StatusError(status.NOT_FOUND, 'no such job');
  if (way === 'thrown') throw new Error('secret');
  if (way === 'unencodable') return 1n;
  if (way === 'completed' || way === 'limit') return way;
  if (way === 'drain') return new Promise(() => {});
  return new Promise((_, reject) => {
    const { signal } = call;
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason));
  });
}

const methodOf = (kind: Kind): AnyMethod =>
  streamsOut(kind)
    ? async function* (requests, call) {
        yield 'first';
        yield await answer(requests, call);
      }
    : answer;

export interface Completeness {
  readonly calls: number;
  readonly started: number;
  readonly ended: number;
  /** Spans and log lines whose code or reason is not that of the call, and clients that read another code. */
  readonly wrong: string[];
  readonly lines: number;
  /** Slots that were not given back. */
  readonly slots: number;
  readonly active: number;
  readonly complaints: string[];
  readonly byReason: Readonly<Record<string, number>>;
}

const SLOTS = 200;

/** Makes calls of one kind that end in every way there is, on every mount, and holds what is told against that. */
export async function runKind(kind: Kind, total: number): Promise<Completeness> {
  const otel = startOtel();
  const wrong: string[] = [];
  const lines: { code: string; reason: string }[] = [];
  const line = (_text: string, fields: object) => lines.push(fields as (typeof lines)[number]);
  const held = limits({ maxStreams: SLOTS });
  const spanAttributes = (call: Call) => ({
    way: wayOf(call),
    late: Number(call.deadline) - Number(call.metadata.get('x-deadline')[0]) > 20,
  });
  const list = [
    tracing({ spanAttributes }),
    metrics(),
    logging({ logger: { debug: line, info: line, warn: line, error: line }, start: false }),
    held,
    bounded,
  ];
  let calls = 0;
  for (let round = 0; calls < total; round++) {
    const before = otel.spans.length;
    const on = mountNames[round % 4] as MountName;
    const some = Math.min(360, total - calls);
    await serveRound(kind, on, list, some, wrong);
    calls += some;
    await until('all spans have ended', () => otel.spans.length >= before + some, 10_000);
  }
  const byReason: Record<string, number> = {};
  for (const { attributes } of otel.spans) {
    const expected = expectedOf(attributes);
    byReason[expected.reason] = (byReason[expected.reason] ?? 0) + 1;
    const found = `${attributes['rpc.status_code']} ${attributes['leat.stream.end_reason']}`;
    if (found !== `${status[expected.code]} ${expected.reason}`)
      wrong.push(`${attributes.way}: span ${found}`);
  }
  const count = (list: string[]) => list.sort().join();
  const told = otel.spans.map(
    ({ attributes }) => `${attributes['rpc.status_code']} ${attributes['leat.stream.end_reason']}`,
  );
  if (count(told) !== count(lines.map(({ code, reason }) => `${code} ${reason}`)))
    wrong.push('the lines are not those of the spans');
  const { 'leat.server.stream.active': gauge } = await otel.collect();
  const active = gauge?.dataPoints.reduce((sum, { value }) => sum + value, 0) ?? Number.NaN;
  const result = {
    calls,
    started: otel.started,
    ended: otel.spans.length,
    wrong,
    lines: lines.length,
    byReason,
  };
  const slots = SLOTS - (await freeOf(kind, held));
  await otel.stop();
  return { ...result, slots, active, complaints: otel.complaints };
}

/** A server that is slow to hear of a call takes its deadline to be later than the client does. */
function expectedOf({ late, way, 'leat.stream.end_reason': reason }: Finished['attributes']) {
  const name = late && way === 'deadline' ? String(reason) : String(way);
  return ways[name] ?? { code: status.OK, reason: 'none' };
}

/** One server, some calls at a time; those that a drain ends come last. */
async function serveRound(kind: Kind, on: MountName, list: Middleware[], total: number, wrong: string[]) {
  const server = await serveKind(on, kind, methodOf(kind), list);
  const clients = [1, 2].map(() => new Client(`127.0.0.1:${server.port}`, credentials.createInsecure()));
  const waiting: Promise<void>[] = [];
  let next = 0;
  const worker = async (client: Client) => {
    while (next < total) {
      const way = names[next++ % names.length] as string;
      const call =
        way === 'disconnected' ? disconnect(kind, server.port) : ask(kind, { ...server, client }, way, wrong);
      if (way === 'drain') waiting.push(call);
      else await call;
    }
  };
  await Promise.all([...clients, ...clients, ...clients, ...clients].map(worker));
  await until('only those that a drain ends are left', () => live.size === waiting.length, 10_000);
  await drain(server.server, { graceMs: 50 });
  await Promise.all(waiting);
  for (const client of clients) client.close();
  await server.close();
}

async function ask(
  kind: Kind,
  server: Parameters<typeof calling>[0],
  way: string,
  wrong: string[],
): Promise<void> {
  const metadata = new Metadata();
  // Long enough for the server to hear of the call: one that it never started has no span.
  const deadline = Date.now() + 300;
  metadata.set('x-way', way);
  metadata.set('x-deadline', String(deadline));
  const options = { metadata, ...(way === 'deadline' ? { deadline } : {}) };
  const { stream, reply } = calling(server, kind, streamsIn(kind) ? [1, 2, 3] : [1], options);
  if (way === 'cancelled') stream.on('metadata', () => setTimeout(() => stream.cancel(), Math.random() * 3));
  const { code } = await reply;
  if (code !== ways[way]?.code) wrong.push(`${way}: the client read ${status[code]}`);
}

async function disconnect(kind: Kind, port: number): Promise<void> {
  const headers = { ':path': service[kind].path, 'x-way': 'disconnected', 'x-deadline': '0' };
  const { socket, stream } = rawCall(port, headers);
  await new Promise(resolve => stream.once('response', resolve));
  socket.destroy();
}

/** How many calls the limits let in at once. */
async function freeOf(kind: Kind, held: Middleware): Promise<number> {
  let free = 0;
  let over = 0;
  const counted: Middleware = () => {
    free += 1;
  };
  const server = await serveKind('mount', kind, () => new Promise(() => {}), [held, counted]);
  const calls = Array.from({ length: SLOTS + 1 }, () => calling(server, kind, [1]));
  for (const { reply } of calls) void reply.then(() => (over += 1));
  await until('all are in, but one', () => free + over === SLOTS + 1, 20_000);
  for (const { stream } of calls) stream.cancel();
  await until('all are over', () => over === SLOTS + 1, 20_000);
  await server.close();
  return free;
}
