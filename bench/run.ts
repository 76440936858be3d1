/**
 * Measures leat beside its peers. Arguments are the names of scenarios, all of them when there are none, and
 * `--quick` for a shorter, noisier run. A full run keeps its results, and fails when a promise is broken.
 */

import type { Options, Scenario, Table } from './lab.ts';
import { header, keep, markdown } from './report.ts';
import { allMiddleware } from './scenarios/all-middleware.ts';
import { batches } from './scenarios/batches.ts';
import { cancelled } from './scenarios/cancelled.ts';
import { fanOut } from './scenarios/fan-out.ts';
import { firstMessage } from './scenarios/first-message.ts';
import { idleHeap } from './scenarios/idle-heap.ts';
import { kib } from './scenarios/kib.ts';
import { layers } from './scenarios/layers.ts';
import { oneStream } from './scenarios/one-stream.ts';
import { stalled } from './scenarios/stalled.ts';
import { streams16 } from './scenarios/streams-16.ts';

const scenarios: Record<string, Scenario> = {
  'one-stream': oneStream,
  'streams-16': streams16,
  kib,
  layers,
  'all-middleware': allMiddleware,
  batches,
  stalled,
  'fan-out': fanOut,
  'first-message': firstMessage,
  'idle-heap': idleHeap,
  cancelled,
};

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const chosen = args.filter(arg => arg !== '--quick');
const unknown = chosen.filter(name => !(name in scenarios));
if (unknown.length > 0) {
  console.error(`No such scenario: ${unknown.join(', ')}. There are: ${Object.keys(scenarios).join(', ')}`);
  process.exit(2);
}

const options: Options = quick ? { rounds: 3, scale: 0.2 } : { rounds: 7, scale: 1 };
const tables: Table[] = [];
const broken: string[] = [];

console.log(`${header()}\n`);
for (const [name, scenario] of Object.entries(scenarios)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  const result = await scenario(options);
  for (const table of result.tables) console.log(`${markdown(table)}\n`);
  tables.push(...result.tables);
  broken.push(...(result.broken ?? []));
}

if (!quick && chosen.length === 0) keep(tables);
for (const promise of broken) console.error(`Broken: ${promise}`);
process.exitCode = broken.length > 0 ? 1 : 0;
