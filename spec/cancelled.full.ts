/**
 * Clients that leave, at every point of a stream and in every way, and what is left of it; how soon a source
 * hears of a cancel; whether deadlines hold.
 *
 *     npx tsx spec/cancelled.full.ts [--full]
 *
 * 20,000 streams, or 100,000. Fails when a `finally` is missing or ran twice, when a source is still running,
 * when the heap grows by 2 MiB, or when something comes later than promised.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Client, credentials, status } from '@grpc/grpc-js';
import { type Call, configure, type Middleware } from '../lib/index.ts';
import {
  type AnySource,
  definition,
  type MountName,
  mountNames,
  path,
  type Running,
  serve,
  turn,
  until,
} from './support/harness.ts';
import { aborted } from './support/observe.ts';
import { type Exchange, Peer, stalledPeer } from './support/peer.ts';

const total = process.argv.includes('--full') ? 100_000 : 20_000;
/** Streams on one connection, fewer than the resets that a server takes for an attack. */
const batch = 100;

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;
const failures: string[] = [];

const escaped: unknown[] = [];
process.on('unhandledRejection', error => escaped.push(error));

const kib = 'x'.repeat(1024);

type Arrive = () => void;

/** Where a source is when its client leaves. */
const points: Record<string, (call: Call, arrive: Arrive) => AsyncGenerator<unknown>> = {
  async *'before the headers'({ signal }, arrive) {
    arrive();
    yield await aborted(signal);
  },
  async *'after the headers'(call, arrive) {
    call.sendHeader();
    arrive();
    yield await aborted(call.signal);
  },
  async *'mid-stream'(_call, arrive) {
    for (arrive(); ; await turn()) yield kib;
  },
  async *'blocked on the window'(_call, arrive) {
    for (arrive(); ; ) yield kib;
  },
  async *'parked in an await'({ signal }, arrive) {
    yield kib;
    arrive();
    yield await aborted(signal);
  },
  async *'after the last yield'({ signal }, arrive) {
    yield kib;
    arrive();
    await aborted(signal).catch(() => {});
  },
};

/** How a client leaves; `open` opens a batch, and answers how to end it. */
type Leave = (port: number, point: string) => (arrived: Promise<void>) => Promise<void>;

function raw(leave: (peer: Peer, exchanges: Exchange[]) => void, timeout?: string): Leave {
  return (port, point) => {
    const peer = point === 'blocked on the window' ? stalledPeer(port) : new Peer(port);
    const headers: Record<string, string> = timeout ? { 'grpc-timeout': timeout } : {};
    const exchanges = Array.from({ length: batch }, () => peer.open({ point }, { headers }));
    return async arrived => {
      await arrived;
      leave(peer, exchanges);
      await finished();
      peer.session.destroy();
      await Promise.all(exchanges.map(({ closed }) => closed));
    };
  };
}

const ways: Record<string, Leave> = {
  RST: raw((_peer, exchanges) => {
    for (const { reset } of exchanges) reset();
  }),
  'TCP reset': raw(peer => peer.resetTcp()),
  'session destroyed': raw(peer => peer.session.destroy()),
  deadline: raw(() => {}, '150m'),
  'client break': (port, point) => {
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
    const { requestSerialize: write, responseDeserialize: read } = definition.stream;
    const leaving: (() => void)[] = [];
    for (let i = 0; i < batch; i++) {
      const call = client.makeServerStreamRequest(path, write, read, { point });
      call.on('error', () => {});
      const iterator = call[Symbol.asyncIterator]();
      const first = iterator.next().catch(() => {});
      // What `break` does in a `for await`, and what it takes to say so to the server.
      leaving.push(() => {
        call.cancel();
        void first.then(() => iterator.return?.()).catch(() => {});
      });
    }
    return async arrived => {
      await arrived;
      for (const leave of leaving) leave();
      await finished();
      client.close();
    };
  },
};

const tally = { started: 0, finished: 0, twice: 0, ended: 0, orphans: 0 };
let awaited: { count: number; resolve: () => void } | undefined;

function arrive(): void {
  if (awaited && --awaited.count === 0) awaited.resolve();
}

async function finished(): Promise<void> {
  await until(
    'all sources are finished',
    () => tally.finished === tally.started && tally.ended === tally.started,
    10_000,
  );
}

const leaving: AnySource = async function* ({ point }, call) {
  let ran = 0;
  tally.started += 1;
  try {
    yield* points[point]?.(call, arrive) ?? [];
  } finally {
    tally.finished += 1;
    if (++ran > 1) tally.twice += 1;
  }
};

const counting: Middleware = () => ({
  end() {
    tally.ended += 1;
  },
});

function heap(): number {
  gc();
  gc();
  return process.memoryUsage().heapUsed;
}

async function leaveAll(): Promise<void> {
  const servers = new Map<MountName, Running>();
  const report = configure({
    onError: () => {},
    onOrphan: () => {
      tally.orphans += 1;
    },
  });
  for (const on of mountNames) servers.set(on, await serve(on, leaving, [report, counting]));
  const combinations = Object.keys(points).flatMap(point => Object.keys(ways).map(way => ({ point, way })));
  const batches = Math.ceil(total / batch / combinations.length) * combinations.length;
  const rows: Record<string, Record<string, number>> = {};
  const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length;
  let before = 0;
  let half = 0;
  let rss = 0;
  for (let index = -combinations.length; index < batches; index++) {
    if (index === 0) {
      before = timers();
      for (const name of Object.keys(tally) as (keyof typeof tally)[]) tally[name] = 0;
    }
    if (index === batches >> 1) {
      half = heap();
      rss = process.memoryUsage().rss;
    }
    const { point, way } = combinations[(index + combinations.length) % combinations.length] ?? {
      point: '',
      way: '',
    };
    const on =
      mountNames[Math.floor((index + combinations.length) / combinations.length) % mountNames.length];
    const arrived = new Promise<void>(resolve => {
      awaited = { count: batch, resolve };
    });
    const ended = tally.finished;
    const leave = ways[way]?.(servers.get(on ?? 'produce')?.port as number, point);
    await leave?.(arrived);
    const row = rows[point] ?? {};
    rows[point] = row;
    if (index >= 0) row[way] = (row[way] ?? 0) + tally.finished - ended;
  }
  await new Promise(resolve => setTimeout(resolve, 1100));
  const growth = heap() - half;
  console.log('\n`finally` ran, by where the source was and how its client left');
  console.table(rows);
  const summary = {
    streams: batches * batch,
    'sources started': tally.started,
    '`finally` ran': tally.finished,
    '`finally` ran twice': tally.twice,
    'ends heard by the layer': tally.ended,
    'sources still running': tally.started - tally.finished,
    'orphans reported': tally.orphans,
    'timers left': Math.max(0, timers() - before),
    'heap grown in the second half, KiB': Math.round(growth / 1024),
    'RSS grown in the second half, KiB': Math.round((process.memoryUsage().rss - rss) / 1024),
    'escaped errors': escaped.length,
  };
  console.table(summary);
  if (tally.started !== batches * batch) failures.push('not every stream reached its source');
  if (tally.finished !== tally.started || tally.twice > 0) failures.push('`finally` did not run once each');
  if (tally.ended !== tally.started) failures.push('ends are missing');
  if (tally.orphans > 0) failures.push('there are orphans');
  if (summary['timers left'] > 0) failures.push('there are timers left');
  if (growth > 2 ** 21) failures.push(`the heap grew by ${growth} bytes`);
  if (escaped.length > 0) failures.push(`escaped: ${escaped[0]}`);
  for (const server of servers.values()) await server.close();
}

function quantiles(values: number[]): Record<string, string> {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0).toFixed(2);
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

async function cancelLatency(): Promise<void> {
  const toSignal: number[] = [];
  const toFinally: number[] = [];
  let resetAt = 0;
  let done: (() => void) | undefined;
  const server = await serve('mount', async function* (_request, { signal }) {
    signal.addEventListener('abort', () => toSignal.push(performance.now() - resetAt));
    try {
      yield 1;
      await aborted(signal);
    } finally {
      toFinally.push(performance.now() - resetAt);
      done?.();
    }
  });
  for (let i = 0; i < 2000; i += batch) {
    const peer = new Peer(server.port);
    for (let j = 0; j < batch; j++) {
      const exchange = peer.open();
      await new Promise(resolve => exchange.stream.once('data', resolve));
      await turn();
      await new Promise<void>(resolve => {
        done = resolve;
        resetAt = performance.now();
        exchange.reset();
      });
    }
    peer.session.destroy();
  }
  console.log('\nMilliseconds from the reset at the client, 2,000 times');
  console.table({ 'to the signal': quantiles(toSignal), 'to `finally`': quantiles(toFinally) });
  if (Number(quantiles(toFinally).p99) >= 5) failures.push('a cancel takes 5 ms or more');
  await server.close();
}

async function deadlines(): Promise<void> {
  const slackMs = 20;
  const rows: Record<string, object> = {};
  const behaviours: Record<string, (call: Call) => AsyncGenerator<unknown>> = {
    async *reading() {
      for (;;) {
        yield kib;
        await turn();
      }
    },
    async *stalled() {
      for (;;) yield kib;
    },
    async *parked({ signal }) {
      yield await aborted(signal);
    },
  };
  for (const [name, behave] of Object.entries(behaviours)) {
    const late: number[] = [];
    const behind: number[] = [];
    let started = 0;
    const codes = new Set<unknown>();
    const ended: Middleware = () => ({ end: ({ code }) => void codes.add(code) });
    const server = await serve(
      'mount',
      async function* (_request, call) {
        started += 1;
        const due = Number(call.deadline);
        const bare = new Promise<number>(resolve => {
          setTimeout(() => resolve(Date.now()), due - Date.now());
        });
        try {
          yield* behave(call);
        } finally {
          const ranAt = Date.now();
          void bare.then(at => {
            late.push(ranAt - due);
            behind.push(Math.max(0, ranAt - Math.max(due, at)));
          });
        }
      },
      [ended],
    );
    const together = 5;
    const run = async (all: number[]) => {
      for (let at = 0; at < all.length; at += together) {
        const peer = name === 'stalled' ? stalledPeer(server.port) : new Peer(server.port);
        const already = started;
        for (const ms of all.slice(at, at + together)) {
          peer.open({}, { headers: { 'grpc-timeout': `${ms}m` } });
          await turn();
        }
        await until('all were started', () => started === already + together);
        await until('all are over', () => late.length === started);
        peer.session.destroy();
      }
    };
    await run(Array.from({ length: 50 }, () => 10));
    late.length = 0;
    behind.length = 0;
    started = 0;
    await run(Array.from({ length: 100 }, (_, index) => 1 + Math.round((index * 499) / 99)));
    const held = behind.filter(each => each <= slackMs).length;
    const { p50, p99, max } = quantiles(late);
    rows[name] = { streams: started, held, p50, p99, max, 'max after a bare timer': quantiles(behind).max };
    if (held !== started) failures.push(`${name}: ${started - held} deadlines did not hold`);
    if ([...codes].some(code => code !== status.DEADLINE_EXCEEDED))
      failures.push(`${name}: ended as ${[...codes]}`);
    await server.close();
  }
  // On a busy machine a process may sleep through any deadline: a timer of its own tells.
  console.log(
    '\nDeadlines of 1 to 500 ms: milliseconds to `finally`; held is 20 ms after a bare timer at most',
  );
  console.table(rows);
}

await leaveAll();
await cancelLatency();
await deadlines();
for (const failure of failures) console.error(failure);
process.exitCode = failures.length > 0 ? 1 : 0;
