/** The server of one cell, in a process of its own: `server.ts <row> <column>`. */
import { type Given, given, type Served } from './columns/column.ts';
import { rows } from './rows/index.ts';
import { type Tally, tally, tellAtExit } from './tally.ts';

export interface State extends Tally {
  /** After collecting garbage, where that was asked for. */
  readonly heap: number;
  readonly rss: number;
  readonly timers: number;
}

const [, , name, column] = process.argv;
const row = rows.find(one => one.name === name);
if (!row) throw new Error(`there is no row \`${name}\``);
const { serve } = (await import(`./columns/${column}.ts`)) as { serve(given: Given): Promise<Served> };
const { port, shutDown } = await serve(given(row));

function state(collect: boolean): State {
  if (collect) globalThis.gc?.();
  const { heapUsed: heap, rss } = process.memoryUsage();
  const timers = process.getActiveResourcesInfo().filter(one => one === 'Timeout').length;
  return { ...tally, heap, rss, timers };
}

tellAtExit();
process.on('SIGTERM', shutDown);
process.on('disconnect', () => process.exit());
process.on('message', ask => process.send?.(state(ask === 'collected')));
process.send?.({ port });
process.channel?.unref();
