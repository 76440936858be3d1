import {
  beside,
  Lab,
  median,
  type Options,
  type Promised,
  type Row,
  type Server,
  type Sink,
} from '../lab.ts';

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
  readonly run: (sink: Sink, port: number, count: number) => Promise<unknown>;
}

/** Microseconds of the server's CPU for each thing that is done, by contender and round. */
export async function cpuOf({ count, run }: Work, { rounds, scale }: Options): Promise<Costs> {
  using lab = await Lab.open(Object.keys(contenders));
  const measure = async (server: Server, count: number) => {
    const port = await server.port();
    const before = await server.cpu();
    await run(lab.sink, port, count);
    return ((await server.cpu()) - before) / count;
  };
  const some = Math.ceil((count * scale) / 2);
  for (const server of lab.servers.values()) await measure(server, Math.max(2 * some, Math.ceil(count / 2)));
  const measured = await lab.rounds(2 * rounds, server => measure(server, some));
  return new Map([...measured].map(([name, each]) => [String(contenders[name]), each]));
}

/** Beside grpc-js, which is 1. */
export function ratioOf(cpu: Costs, name: string): number {
  return beside(cpu.get(name), cpu.get('grpc-js'));
}

export function cpuRows(cpu: Costs, unit: string): Row[] {
  return [...cpu].map(([server, each]) => ({
    server,
    [`CPU µs/${unit}`]: median(each),
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
