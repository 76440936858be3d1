import { setTimeout as sleep } from 'node:timers/promises';
import { type Remote, start } from './child.ts';
import type { ServerApi } from './server.ts';
import type { Request } from './services.ts';
import type { SinkApi } from './sink.ts';

export type Server = Remote<ServerApi>;
export type Sink = Remote<SinkApi>;

/** How thorough a run is. */
export interface Options {
  /** Measurements of each contender: the median counts, and of ratios the median of those within a round; of CPU, all. */
  rounds: number;
  /** Scales what one measurement does: 1 in a full run, less in a quick one. */
  scale: number;
}

/** One row of a table: what is measured, by the name of its column. */
export type Row = Record<string, string | number>;

export interface Table {
  title: string;
  rows: Row[];
}

/** A promise, and what was measured. */
export interface Promised {
  what: string;
  measured: number;
  atLeast?: number;
  atMost?: number;
}

export interface Result {
  tables: Table[];
  promises?: Promised[];
}

export type Scenario = (options: Options) => Promise<Result>;

/** The servers of some contenders and a client for them, each in a process of its own. */
export class Lab implements Disposable {
  private constructor(
    readonly sink: Sink,
    readonly servers: ReadonlyMap<string, Server>,
  ) {}

  static async open(contenders: readonly string[]): Promise<Lab> {
    const sink = start<SinkApi>('sink');
    const servers = contenders.map(async contender => {
      return [contender, await start<ServerApi>('server', contender)] as const;
    });
    return new Lab(await sink, new Map(await Promise.all(servers)));
  }

  /** Measures all contenders in turn, so many times: whatever disturbs the machine disturbs each. */
  async rounds<T>(
    count: number,
    measure: (server: Server, contender: string) => Promise<T>,
  ): Promise<Map<string, T[]>> {
    const results = new Map<string, T[]>([...this.servers.keys()].map(name => [name, []]));
    for (let round = 0; round < count; round++) {
      // Nobody always follows the same one: what that has left to the client, or in a cache, would count for it.
      for (const [name, server] of shuffled([...this.servers]))
        results.get(name)?.push(await measure(server, name));
    }
    return results;
  }

  [Symbol.dispose](): void {
    for (const child of [this.sink, ...this.servers.values()]) child[Symbol.dispose]();
  }
}

/** The same in any order. */
function shuffled<T>(items: T[]): T[] {
  return items
    .map(item => ({ item, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

/** Whether a promise is kept; with `slack`, whether it is missed by no more than that factor. */
export function kept({ measured, atLeast = -Infinity, atMost = Infinity }: Promised, slack = 1): boolean {
  return measured >= atLeast / slack && measured <= atMost * slack;
}

/** Runs a request to its end: how long that took, and CPU time of the server in microseconds. */
export async function readAll(server: Server, sink: Sink, request: Request, streams: number) {
  const port = await server.port();
  const speaks = await server.speaks();
  const cpu = await server.cpu();
  const { ms } = await sink.readAll({ port, request, streams, speaks });
  return { ms, cpu: (await server.cpu()) - cpu };
}

/** Resolves when `condition` holds; gives up after ten seconds. */
export async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (const giveUp = Date.now() + 10_000; !(await condition()); await sleep(5)) {
    if (Date.now() > giveUp) throw new Error(`waited in vain until ${what}`);
  }
}

/** How one contender did beside another, round by round: what disturbs the machine for a while disturbs both. */
export function beside(each: readonly number[] = [], other: readonly number[] = []): number {
  return median(each.map((value, round) => value / (other[round] ?? Number.NaN)));
}

export function mean(values: readonly number[] = []): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}
