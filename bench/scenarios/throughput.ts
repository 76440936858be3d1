import { beside, Lab, median, type Options, type Promised, type Row, readAll, type Server } from '../lab.ts';
import type { Request } from '../services.ts';

interface Load {
  contenders: readonly string[];
  /** The request for so many messages a stream; a server may put several in one. */
  request: (messages: number) => Request;
  streams?: number;
}

/** Milliseconds that one measurement takes, whatever the contender. */
const measureMs = 350;

/** Messages a second, and microseconds of the server's CPU a message. */
export interface Speed {
  rate: number;
  cpu: number;
  /** Of each round. */
  rates: readonly number[];
  /** Of the best round: what disturbs a round only ever adds. */
  leastCpu: number;
}

/** The speed of each contender, median of the rounds. */
export async function throughput(
  { contenders, request, streams = 1 }: Load,
  { rounds, scale }: Options,
): Promise<Map<string, Speed>> {
  using lab = await Lab.open(contenders);
  const run = async (server: Server, messages: number) => {
    const { ms, cpu } = await readAll(server, lab.sink, request(messages), streams);
    return { rate: ((messages * streams) / ms) * 1000, cpu: cpu / (messages * streams) };
  };

  const messages = new Map<string, number>();
  for (const [name, server] of lab.servers) {
    await run(server, Math.ceil(20_000 / streams));
    const { rate } = await run(server, Math.ceil(50_000 / streams));
    messages.set(name, Math.ceil((rate * measureMs * scale) / 1000 / streams));
  }

  const speeds = await lab.rounds(2 * rounds, (server, name) => run(server, messages.get(name) ?? 0));
  return new Map(
    [...speeds].map(([name, each]) => [
      name,
      {
        rate: median(each.map(({ rate }) => rate)),
        rates: each.map(({ rate }) => rate),
        cpu: median(each.map(({ cpu }) => cpu)),
        leastCpu: Math.min(...each.map(({ cpu }) => cpu)),
      },
    ]),
  );
}

/** The rows of a table of speeds, compared with the first contender. */
export function speedRows(speeds: ReadonlyMap<string, Speed>): Row[] {
  const [first] = speeds.values();
  return [...speeds].map(([server, { rate, rates, cpu }]) => ({
    server,
    'messages/s': Math.round(rate),
    ratio: beside(rates, first?.rates),
    'CPU µs/message': cpu,
  }));
}

/** That servers are at least so many times as fast as another one. */
export function floored(
  speeds: ReadonlyMap<string, Speed>,
  floors: readonly (readonly [server: string, times: number, than: string])[],
): Promised[] {
  return floors.map(([server, times, than]) => ({
    what: `${server}: its speed, of ${than}`,
    measured: beside(speeds.get(server)?.rates, speeds.get(than)?.rates),
    atLeast: times,
  }));
}
