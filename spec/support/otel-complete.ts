import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import { drain, type EndReason, type Middleware, StatusError } from '../../lib/index.ts';
import { metrics } from '../../middleware/metrics.ts';
import { tracing } from '../../middleware/tracing.ts';
import { type AnySource, definition, type MountName, mountNames, path, serve, until } from './harness.ts';
import { type Rig, startOtel } from './otel.ts';
import { rawCall } from './raw.ts';

/** The ways of ending, and what a span must say of each. */
const kinds: Record<string, { code: status; reason: EndReason }> = {
  completed: { code: status.OK, reason: 'completed' },
  answered: { code: status.NOT_FOUND, reason: 'error' },
  thrown: { code: status.UNKNOWN, reason: 'error' },
  unencodable: { code: status.INTERNAL, reason: 'error' },
  limit: { code: status.RESOURCE_EXHAUSTED, reason: 'limit' },
  cancelled: { code: status.CANCELLED, reason: 'cancelled' },
  stalled: { code: status.CANCELLED, reason: 'cancelled' },
  deadline: { code: status.DEADLINE_EXCEEDED, reason: 'deadline' },
  disconnected: { code: status.CANCELLED, reason: 'disconnected' },
  drain: { code: status.UNAVAILABLE, reason: 'drain' },
};
const names = Object.keys(kinds);

const source: AnySource = async function* ({ kind = 'disconnected' }, { signal }) {
  yield 1;
  if (kind === 'completed') return;
  if (kind === 'answered') throw new StatusError(status.NOT_FOUND, 'no such job');
  if (kind === 'thrown') throw new Error('secret');
  if (kind === 'unencodable') yield 1n;
  while (kind === 'stalled') yield 'x'.repeat(16384);
  if (kind === 'limit') yield 'limit';
  else if (kind === 'drain') await new Promise(() => {});
  else await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
};

/** Ends a call as `limits` would, at the message that asks for it. */
export const bounded: Middleware = (call, next) => ({
  message(message) {
    if (message === 'limit') call.end({ code: status.RESOURCE_EXHAUSTED, details: '', reason: 'limit' });
    else next.message(message);
  },
});

export interface Completeness {
  readonly calls: number;
  readonly started: number;
  readonly ended: number;
  /** Spans whose code or reason is not that of the call. */
  readonly wrong: string[];
  /** Calls whose deadline the server could not know in time. */
  readonly late: number;
  readonly active: number;
  readonly complaints: string[];
  readonly byReason: Record<string, number>;
}

/** Makes calls that end in every way there is, on every mount, and holds their spans against what happened. */
export async function runCalls(total: number): Promise<Completeness> {
  const otel = startOtel();
  const wrong: string[] = [];
  const byReason: Record<string, number> = {};
  let calls = 0;
  let late = 0;
  for (let round = 0; calls < total; round++) {
    const before = otel.spans.length;
    const expected = await serveRound(mountNames[round % 4] as MountName, Math.min(400, total - calls));
    calls += expected;
    await until('all spans have ended', () => otel.spans.length >= before + expected, 10_000);
  }
  for (const { attributes } of otel.spans) {
    // A server that is slow to hear of a call takes its deadline to be later than the client does.
    const kind = String(attributes.late ? attributes['leat.stream.end_reason'] : attributes.kind);
    if (attributes.late) late += 1;
    const { code, reason } = kinds[kind] ?? {};
    byReason[reason as string] = (byReason[reason as string] ?? 0) + 1;
    const [is, why] = [attributes['rpc.status_code'], attributes['leat.stream.end_reason']];
    if (is !== status[code as status] || why !== reason) wrong.push(`${kind}: ${is} ${why}`);
  }
  const result = { calls, started: otel.started, ended: otel.spans.length, wrong, late, byReason };
  const active = await activeOf(otel);
  await otel.stop();
  return { ...result, active, complaints: otel.complaints };
}

async function activeOf(otel: Rig): Promise<number> {
  const { 'leat.server.stream.active': active } = await otel.collect();
  return active?.dataPoints.reduce((sum, { value }) => sum + value, 0) ?? Number.NaN;
}

/** One server, some calls at a time; those that a drain ends come last. */
async function serveRound(on: MountName, total: number): Promise<number> {
  const spanAttributes = ({ deadline, request }: { deadline: Date | undefined; request: any }) => ({
    kind: request.kind ?? 'disconnected',
    late: Number(deadline) - request.deadline > 20,
  });
  const server = await serve(on, source, [tracing({ spanAttributes }), metrics(), bounded]);
  const clients = [1, 2].map(() => new Client(`127.0.0.1:${server.port}`, credentials.createInsecure()));
  let next = 0;
  const worker = async (client: Client) => {
    while (next < total) {
      const kind = names[next++ % names.length] as string;
      if (kind === 'disconnected') await disconnect(server.port);
      else if (kind === 'drain') waiting.push(call(client, kind));
      else await call(client, kind);
    }
  };
  const waiting: Promise<void>[] = [];
  await Promise.all([...clients, ...clients, ...clients, ...clients].map(worker));
  await new Promise(resolve => setTimeout(resolve, 20));
  await drain(server.server, { graceMs: 20 });
  await Promise.all(waiting);
  for (const client of clients) client.close();
  await server.close();
  return total;
}

function call(client: Client, kind: string): Promise<void> {
  const { requestSerialize, responseDeserialize } = definition.stream;
  const options = kind === 'deadline' ? { deadline: Date.now() + 60 } : {};
  const stream = client.makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    { kind, ...options },
    new Metadata(),
    options,
  );
  stream.on('error', () => {});
  if (kind === 'cancelled') stream.on('data', () => setTimeout(() => stream.cancel(), Math.random() * 3));
  else if (kind === 'stalled')
    stream.on('data', () => {
      stream.pause();
      setTimeout(() => stream.cancel(), Math.random() * 3);
    });
  else stream.on('data', () => {});
  return new Promise(resolve => stream.once('status', () => resolve()));
}

async function disconnect(port: number): Promise<void> {
  const { socket, stream } = rawCall(port);
  await new Promise(resolve => stream.once('data', resolve));
  socket.destroy();
}
