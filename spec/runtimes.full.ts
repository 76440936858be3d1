/**
 * The packed package where users have it, installed into an empty folder: on each runtime, in each module mode of each
 * TypeScript, under each runner of tests, in each bundler; or only in those of `engines`, `compilers`, `runners` and
 * `bundlers` that are named. Fails if one cell does, and puts the tables into docs/runtimes.md with `--write`. Takes
 * some minutes, and two gigabytes of the temporary folder meanwhile.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { bundlers } from './runtimes/bundlers.ts';
import { compilers } from './runtimes/compilers.ts';
import { engines } from './runtimes/engines.ts';
import { failures, root } from './runtimes/lab.ts';
import { runners } from './runtimes/runners.ts';

const { values, positionals } = parseArgs({
  options: { write: { type: 'boolean' }, keep: { type: 'boolean' } },
  allowPositionals: true,
});
const groups = { engines, compilers, runners, bundlers };
try {
  for (const [name, group] of Object.entries(groups)) {
    if (positionals.length && !positionals.includes(name)) continue;
    const table = await group();
    console.log(`\n${table}`);
    if (values.write) put(name, table);
  }
  for (const failure of failures) console.error(`\n${failure}`);
  if (failures.length) process.exitCode = 1;
} finally {
  if (values.keep) console.error(root);
  else rmSync(root, { recursive: true, force: true });
}

function put(name: string, table: string): void {
  const page = readFileSync('docs/runtimes.md', 'utf8');
  const marked = new RegExp(`(<!-- ${name} -->\\n)[\\s\\S]*?(<!-- end -->)`);
  writeFileSync('docs/runtimes.md', page.replace(marked, `$1\n${table}\n\n$2`));
}
