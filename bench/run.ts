/**
 * Measures leat beside its peers. Arguments are the names of scenarios, all of them when there are none, and
 * `--quick` for a shorter, noisier run. A full run keeps its results, and fails when a promise is broken.
 */

import { kept, type Options, type Promised, type Table } from './lab.ts';
import { header, keep, markdown, sentence } from './report.ts';
import { choose } from './scenarios/index.ts';

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const names = args.filter(arg => arg !== '--quick');
const chosen = choose(names);
const options: Options = quick ? { rounds: 3, scale: 0.2 } : { rounds: 7, scale: 1 };
const tables: Table[] = [];
const promises: Promised[] = [];

console.log(`${header()}\n`);
for (const [, scenario] of chosen) {
  const result = await scenario(options);
  for (const table of result.tables) console.log(`${markdown(table)}\n`);
  tables.push(...result.tables);
  promises.push(...(result.promises ?? []));
}

if (!quick && names.length === 0) keep(tables);
const broken = promises.filter(promise => !kept(promise));
for (const promise of promises) {
  if (kept(promise)) console.log(`Kept: ${sentence(promise)}`);
}
for (const promise of broken) console.error(`Broken: ${sentence(promise)}`);
process.exitCode = broken.length > 0 ? 1 : 0;
