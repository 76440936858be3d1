/**
 * What a topic behind JetStream costs, each figure beside what it is compared with, in one run:
 *
 *     NATS_SERVER=nats-server npx tsx --expose-gc spec/nats/figures.full.ts
 */
import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { getEventListeners, setMaxListeners } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type ConsumerMessages, jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { type Topic, topic } from '../../lib/sources/index.ts';
import { FaultProxy } from '../client/fault-proxy.ts';
import { taken } from '../sources/tools.ts';
import { infoOf, leaveAll, NatsServer, open, publishAll, stopNats } from '../support/nats.ts';

interface Item {
  readonly n: number;
  readonly text: string;
}

const TEXT = 'x'.repeat(80);
const print = (what: string, ...figures: string[]) => console.log(`${what}: ${figures.join(', ')}`);
const ms = (from: number) => performance.now() - from;
const nap = (ms: number) => new Promise(go => setTimeout(go, ms));
const median = (list: number[]) => list.sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0;

// As another process: publishes to `updates` what it is told to.
if (process.send) {
  const [url = '', count = '0'] = process.argv.slice(2);
  const { connect } = await import('@nats-io/transport-node');
  const nc = await connect({ servers: url });
  const js = jetstream(nc);
  const sent: Promise<unknown>[] = [];
  for (let n = 1; n <= Number(count); n++) {
    sent.push(js.publish('updates', JSON.stringify({ n, text: TEXT })));
    if (sent.length === 20) await Promise.all(sent.splice(0));
  }
  await Promise.all(sent);
  await nc.close();
  process.disconnect();
} else {
  const server = await NatsServer.start();
  const all = { fanOut, reading, publishing, latency, memory, herd, churn, back, anew, silent };
  const wanted = process.argv.slice(2);
  for (const [name, measure] of Object.entries(all)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    await measure(server);
    await leaveAll();
    await server.clear();
  }
  await stopNats();
}

/** CPU of a delivery to 1,000 who read live, without gRPC. */
async function fanOut(server: NatsServer): Promise<void> {
  const subscribers = 1000;
  const messages = 2000;
  const listen = (from: { subscribe(): AsyncIterable<Item> }) =>
    Promise.all(
      Array.from({ length: subscribers }, async () => {
        let left = messages;
        for await (const _ of from.subscribe()) if (--left === 0) break;
      }),
    );
  const cost = async (reading: Promise<unknown>, feed: () => unknown) => {
    const before = process.cpuUsage();
    await feed();
    await reading;
    const { user, system } = process.cpuUsage(before);
    return (user + system) / (subscribers * messages);
  };
  const alone = async () => {
    const local: Topic<Item> = topic({ capacity: 10_000 });
    return cost(listen(local), async () => {
      for (let n = 1; n <= messages; n++) {
        local.publish({ n, text: TEXT });
        if (n % 20 === 0) await new Promise(setImmediate);
      }
    });
  };
  const behind = await open<Item>(server);
  const far = () =>
    cost(listen(behind), () => {
      const child = fork(fileURLToPath(import.meta.url), [server.url, `${messages}`]);
      return new Promise(go => child.once('exit', go));
    });
  const costs: [number, number][] = [];
  for (let round = 0; round < 10; round++) costs.push([await alone(), await far()]);
  const rounds = costs.slice(1);
  // Of all rounds: a collection is in one, and was made by several.
  const [one, other] = rounds.reduce(([ones, others], [one, other]) => [ones + one, others + other]);
  const means = [one, other].map(cost => `${(cost / rounds.length).toFixed(3)} µs`);
  print('CPU of a delivery, topic() and behind JetStream', ...means, `ratio ${(other / one).toFixed(2)}`);
}

/** Publishes as many at a time as NATS is given in one go. */
async function flood(count: number, publish: (n: number) => Promise<unknown>): Promise<unknown[]> {
  const sent: Promise<unknown>[] = [];
  let flying = 0;
  let free = () => {};
  for (let n = 1; n <= count; n++) {
    if (flying >= 256) await new Promise<void>(go => (free = go));
    flying += 1;
    const publishing = publish(n);
    sent.push(publishing);
    void publishing.then(() => {
      flying -= 1;
      free();
    });
  }
  return Promise.all(sent);
}

async function store(server: NatsServer, count: number) {
  const one = await open<Item>(server);
  const [first = 0] = (await flood(count, n => one.publish({ n, text: TEXT }))) as number[];
  return { one, first };
}

interface Speed {
  /** In thousands of messages a second. */
  readonly speed: number;
  /** CPU of this process for a message, in microseconds: the same whoever else uses the machine. */
  readonly cost: number;
}

/** Each has its turn in every round; the medians, the best, and the median of the ratios. */
async function inTurn(
  what: string,
  count: number,
  ours: () => Promise<unknown>,
  bare: () => Promise<unknown>,
): Promise<void> {
  const measure = async (run: () => Promise<unknown>): Promise<Speed> => {
    const before = process.cpuUsage();
    const from = performance.now();
    await run();
    const speed = count / ms(from);
    const { user, system } = process.cpuUsage(before);
    return { speed, cost: (user + system) / count };
  };
  const rounds: [Speed, Speed][] = [];
  for (let round = 0; round < 8; round++) {
    const first = round % 2 === 0 ? await measure(bare) : undefined;
    const own = await measure(ours);
    rounds.push([own, first ?? (await measure(bare))]);
  }
  const warm = rounds.slice(1);
  const show = (which: 0 | 1) => {
    const all = warm.map(pair => pair[which]);
    const speeds = all.map(({ speed }) => speed);
    const costs = all.map(({ cost }) => cost);
    return (
      `${Math.round(median(speeds))} k/s (best ${Math.round(Math.max(...speeds))}), ` +
      `CPU ${median(costs).toFixed(1)} µs (least ${Math.min(...costs).toFixed(1)})`
    );
  };
  const ratio = (of: keyof Speed) => median(warm.map(([own, other]) => own[of] / other[of])).toFixed(2);
  print(what, show(0), `bare ${show(1)}`, `speed ${ratio('speed')} and CPU ${ratio('cost')} of bare`);
}

/** A consumer of `@nats-io/jetstream` with the options of ours, that decodes the same and knows number and time. */
async function bareConsumer(
  nc: NatsConnection,
  stream: string,
  taken: (item: Item, sequence: number, time: number) => void,
): Promise<ConsumerMessages> {
  const jsm = await jetstreamManager(nc, { checkAPI: false });
  const consumer = await jsm.consumers.add(stream, {
    ...{ ack_policy: 'none', deliver_policy: 'all', max_deliver: 1, mem_storage: true, num_replicas: 1 },
    filter_subject: stream,
  });
  return jetstream(nc)
    .consumers.getConsumerFromInfo(consumer)
    .consume({
      callback: message => {
        const { streamSequence, timestampNanos } = message.info;
        taken(JSON.parse(message.string()), streamSequence, timestampNanos);
      },
      ...{ max_messages: 4096, expires: 5000, idle_heartbeat: 1000, abort_on_missing_resource: true },
    });
}

/** Each is read and decoded by the process that publishes it. */
async function publishing(server: NatsServer): Promise<void> {
  const count = 20_000;
  const one = await open<Item>(server);
  const nc = await server.connect();
  const js = jetstream(nc);
  const jsm = await jetstreamManager(nc);
  const expect = { streamName: 'bare' };
  await jsm.streams.add({ name: 'bare', subjects: ['bare'] });
  let read = 0;
  await bareConsumer(nc, 'bare', () => (read += 1));
  await inTurn(
    'publish, 256 in flight, read by the same process',
    count,
    () => flood(count, n => one.publish({ n, text: TEXT })),
    () =>
      flood(count, n =>
        js.publish('bare', JSON.stringify({ n, text: TEXT }), { msgID: randomUUID(), expect }),
      ),
  );
  await jsm.streams.delete('bare');
  await nc.close();
}

async function reading(server: NatsServer): Promise<void> {
  const count = 100_000;
  const { one, first } = await store(server, count);
  const bare = async () => {
    const nc = await server.connect();
    await new Promise<void>((all, failed) => {
      let left = count;
      bareConsumer(nc, 'updates', () => --left === 0 && all()).catch(failed);
    });
    await nc.close();
  };
  await inTurn(
    'read and decode 100,000',
    count,
    async () => (await open<Item>(server, { history: count })).leave(),
    bare,
  );
  await inTurn(
    'one catches up with 100,000',
    count,
    () => taken(one.subscribe({ after: first - 1 }), count),
    bare,
  );
}

/** From publish to receipt, one at a time, in turn with a bare consumer. */
async function latency(server: NatsServer): Promise<void> {
  const one = await open<Item>(server);
  const jsm = await jetstreamManager(one.nc);
  const js = jetstream(one.nc);
  await jsm.streams.add({ name: 'bare', subjects: ['bare'] });
  const consumer = await jsm.consumers.add('bare', { ack_policy: 'none', mem_storage: true });
  let got = () => {};
  const messages = await js.consumers.getConsumerFromInfo(consumer).consume({
    callback: message => {
      JSON.parse(message.string());
      got();
    },
  });
  const subscription = one.subscribe();
  const ours: number[] = [];
  const bare: number[] = [];
  for (let n = 0; n < 3000; n++) {
    let from = performance.now();
    const next = subscription.next();
    const sent = one.publish({ n, text: TEXT });
    await next;
    ours.push(ms(from));
    await sent;
    from = performance.now();
    const came = new Promise<void>(go => (got = go));
    const stored = js.publish('bare', JSON.stringify({ n, text: TEXT }), { msgID: `${n}` });
    await came;
    bare.push(ms(from));
    await stored;
  }
  messages.stop();
  await jsm.streams.delete('bare');
  print('publish to receipt, p50', `${median(ours).toFixed(3)} ms`, `bare ${median(bare).toFixed(3)} ms`);
}

async function memory(server: NatsServer): Promise<void> {
  const { one, first } = await store(server, 2000);
  const heap = async () => {
    for (let round = 0; round < 5; round++) {
      await nap(20);
      globalThis.gc?.();
    }
    return process.memoryUsage().heapUsed;
  };
  const each = async (
    count: number,
    make: () => AsyncIterator<unknown>,
    warm: (it: AsyncIterator<unknown>) => unknown,
    publish: () => unknown = () => one.publish({ n: 0, text: TEXT }),
  ) => {
    const kept: unknown[] = new Array(count);
    const before = await heap();
    for (let n = 0; n < count; n++) {
      const iterator = make();
      await warm(iterator);
      kept[n] = [iterator, iterator.next()];
    }
    // One item more, so that all wait for what is live.
    publish();
    for (const pair of kept as [AsyncIterator<unknown>, Promise<unknown>][]) {
      await pair[1];
      pair[1] = pair[0].next();
    }
    const after = await heap();
    for (const [iterator] of kept as [AsyncIterator<unknown>][]) void iterator.return?.();
    return (after - before) / count;
  };
  const local = topic<Item>();
  await each(
    1000,
    () => local.subscribe(),
    () => {},
    () => local.publish({ n: 0, text: TEXT }),
  );
  const alone = await each(
    10_000,
    () => local.subscribe(),
    () => {},
    () => local.publish({ n: 0, text: TEXT }),
  );
  const live = await each(
    10_000,
    () => one.subscribe(),
    () => {},
  );
  // Twice: the first thousand warm it up.
  const back = () =>
    each(
      1000,
      () => one.subscribe({ after: first + 100 }),
      iterator => taken(iterator, one.last - first - 100),
    );
  await back();
  const caughtUp = await back();
  print(
    'memory of one who waits',
    `topic() ${Math.round(alone)} B`,
    `live ${Math.round(live)} B`,
    `caught up ${Math.round(caughtUp)} B`,
  );
}

async function herd(server: NatsServer): Promise<void> {
  const { one, first } = await store(server, 3000);
  const last = first + 2999;
  const messages = one.nc.stats().outMsgs;
  let from = performance.now();
  const back = (behind: number) =>
    Promise.all(
      Array.from({ length: 300 }, async () => {
        const subscription = one.subscribe({ after: last - behind });
        await taken(subscription, behind);
        await subscription.return?.();
      }),
    );
  await back(500);
  print(
    '300 back, 500 behind',
    `${Math.round(ms(from))} ms`,
    `${one.nc.stats().outMsgs - messages} requests`,
  );
  let most = 0;
  let over = false;
  const other = await open(server);
  const watching = (async () => {
    for (; !over; await nap(5)) most = Math.max(most, (await infoOf(other)).state.consumer_count - 1);
  })();
  from = performance.now();
  await back(2000);
  print('300 back, 2,000 behind', `${(ms(from) / 1000).toFixed(2)} s`, `at most ${most} consumers`);
  over = true;
  await watching;
  await other.leave();
  await nap(100);
  print('consumers once caught up', `${(await infoOf(one)).state.consumer_count}`);
}

/** 10,000 come and go: live, from memory, and from the stream; each leaves before, while or after it reads. */
async function churn(server: NatsServer): Promise<void> {
  const { one, first } = await store(server, 3000);
  const { signal } = new AbortController();
  setMaxListeners(0, signal); // as many are there at a time as one likes; what counts is who stays
  const heap = async () => {
    await nap(200);
    globalThis.gc?.();
    return process.memoryUsage().heapUsed;
  };
  const timers = () => process.getActiveResourcesInfo().filter(kind => kind === 'Timeout').length;
  const visit = async (n: number) => {
    const after = [undefined, one.last - 10, first + 10][n % 3];
    const subscription = one.subscribe({ signal, ...(after !== undefined && { after }) });
    const next = n % 2 === 0 ? subscription.next() : undefined;
    if (n % 4 === 0 && after !== undefined) await next;
    await subscription.return?.();
    await next;
  };
  const before = { heap: await heap(), timers: timers() };
  for (let n = 0; n < 10_000; n += 100)
    await Promise.all(Array.from({ length: 100 }, (_, i) => visit(n + i)));
  const grown = Math.round(((await heap()) - before.heap) / 1024);
  print(
    'left by 10,000 who came and went',
    `subscribers ${one.subscribers}`,
    `consumers ${(await infoOf(one)).state.consumer_count - 1}`,
    `timers ${timers() - before.timers}`,
    `listeners ${getEventListeners(signal, 'abort').length}`,
    `heap ${grown} KiB`,
  );
}

/** NATS is started again: the first message, and the 200th. */
async function back(server: NatsServer): Promise<void> {
  const one = await open(server);
  const firsts: number[] = [];
  const lasts: number[] = [];
  for (let round = 0; round < 10; round++) {
    const subscription = one.subscribe();
    await server.down();
    const sending = publishAll(one, 1, 200);
    const from = performance.now();
    await server.up();
    await taken(subscription, 1);
    firsts.push(ms(from));
    await taken(subscription, 199);
    lasts.push(ms(from));
    await sending;
    await subscription.return?.();
  }
  const worst = (list: number[]) => `p50 ${Math.round(median(list))} max ${Math.round(Math.max(...list))} ms`;
  print('from the start of NATS', `first message ${worst(firsts)}`, `200th ${worst(lasts)}`);
}

async function anew(server: NatsServer): Promise<void> {
  const one = await open(server);
  const jsm = await jetstreamManager(one.nc);
  const times: number[] = [];
  for (let round = 0; round < 20; round++) {
    const { config } = await infoOf(one);
    const subscription = one.subscribe();
    const told = subscription.next().then(
      () => Infinity,
      () => performance.now(),
    );
    await jsm.streams.delete('updates');
    await jsm.streams.add({ ...config, first_seq: Date.now() });
    const from = performance.now();
    times.push(Math.max(0, (await told) - from));
  }
  const told = times.filter(time => time < 1000).length;
  print('stream made anew', `told within 1 s ${told} of 20`, `max ${Math.round(Math.max(...times))} ms`);
}

async function silent(server: NatsServer): Promise<void> {
  const writer = await open(server);
  const proxy = await new FaultProxy(server.port).up();
  const one = await open(server, {}, { servers: `127.0.0.1:${proxy.port}` });
  const subscription = one.subscribe();
  const times: number[] = [];
  for (let round = 0; round < 3; round++) {
    const before = proxy.connections;
    proxy.faults.blackHole = true;
    const from = performance.now();
    await writer.publish(round);
    while (proxy.connections === before) await nap(5);
    times.push(ms(from));
    proxy.faults.blackHole = false;
    await taken(subscription, 1);
    proxy.reset();
    while (one.state !== 'live') await nap(5);
  }
  const deleted: number[] = [];
  const jsm = await jetstreamManager(writer.nc);
  for (let round = 0; round < 10; round++) {
    for await (const { name } of jsm.consumers.list('updates')) await jsm.consumers.delete('updates', name);
    const from = performance.now();
    await writer.publish(round);
    await taken(subscription, 1);
    deleted.push(ms(from));
  }
  await one.leave();
  await proxy.down();
  const max = (list: number[]) => `max ${Math.round(Math.max(...list))} ms`;
  print(
    'silence',
    `a new connection instead of a half-open one ${max(times)}`,
    `consumer deleted ${max(deleted)}`,
  );
}
