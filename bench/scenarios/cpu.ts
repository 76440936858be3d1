import { Lab, mean, type Options, type Promised, type Row, type Server, type Sink } from '../lab.ts';

/** The servers that have methods of all kinds, by what tables call them. */
const contenders: Readonly<Record<string, string>> = {
  'kinds-bare': 'grpc-js',
  'kinds-bare + 1 SDK': 'grpc-js beside OpenTelemetry',
  'kinds-nice-grpc': 'nice-grpc',
  kinds: 'mount',
  'kinds + 3 layers': 'mount + tracing, metrics, errors',
  'kinds-sdk + 3 layers': 'the same, recorded by OpenTelemetry',
};

type Costs = ReadonlyMap<string, readonly number[]>;

interface Work {
  /** How much there is to do in one measurement of a full run. */
  readonly count: number;
  /**
   * How many processes of each contender a full run measures, one after another: what a process is compiled to, and
   * where it lies in memory, is worth some 10 %. 1 where that does not matter.
   */
  readonly processes?: number;
  readonly run: (sink: Sink, port: number, count: number) => Promise<unknown>;
}

/** Microseconds of the server's CPU for each thing that is done, by contender, process and round. */
export async function cpuOf(work: Work, { rounds, scale }: Options): Promise<Costs> {
  const names = Object.keys(contenders);
  const costs = new Map(Object.values(contenders).map(called => [called, [] as number[]]));
  const { processes = 1 } = work;
  const each = { rounds: Math.ceil(rounds / processes), scale };
  for (let n = 0; n < processes * scale; n++) {
    for (const [name, measured] of await costsIn(names, work, each))
      costs.get(String(contenders[name]))?.push(...measured);
  }
  return costs;
}

/** The same, with one process for each contender. */
async function costsIn(
  names: readonly string[],
  { count, run }: Work,
  { rounds, scale }: Options,
): Promise<Costs> {
  using lab = await Lab.open(names);
  const measure = async (server: Server, count: number) => {
    const port = await server.port();
    const before = await server.cpu();
    await run(lab.sink, port, count);
    return ((await server.cpu()) - before) / count;
  };
  const some = Math.ceil((count * scale) / 2);
  const warm = Math.max(some, Math.ceil(count / 4));
  for (const server of lab.servers.values()) {
    await measure(server, warm);
    await server.grow();
    await measure(server, warm);
  }
  return await lab.rounds(rounds, server => measure(server, some));
}

/** Beside grpc-js, which is 1: of all that either used, since a collection is in one round and was made by several. */
export function ratioOf(cpu: Costs, name: string): number {
  return mean(cpu.get(name)) / mean(cpu.get('grpc-js'));
}

export function cpuRows(cpu: Costs, unit: string): Row[] {
  return [...cpu].map(([server, each]) => ({
    server,
    [`CPU µs/${unit}`]: mean(each),
    'of grpc-js': ratioOf(cpu, server),
  }));
}

export function atMost(cpu: Costs, what: string, bounds: Record<string, number>): Promised[] {
  return Object.entries(bounds).map(([server, bound]) => ({
    what: `${what}: the CPU of ${server}, of grpc-js`,
    measured: ratioOf(cpu, server),
    atMost: bound,
  }));
}
