/**
 * Puts hostile and faulty situations to a server of each column, each in a process of its own, and writes what comes
 * of it into docs/trust.md:
 *
 *     npm run trust [-- --only leaves --column mount --column bare --dry]
 *     npm run trust -- --figure R5
 *
 * `--only` takes the rows whose names have that in them, `--figure` runs the command of a promise instead, and `--dry`
 * writes nothing. All rows take a quarter of an hour. Fails when a column of ours fails where `known.ts` does not say
 * so, and when a command does.
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { judge } from './cell.ts';
import { known, ours } from './known.ts';
import { isFailure, keep, type Results, readResults } from './page.ts';
import { promises } from './promises.ts';
import { type Column, columns } from './row.ts';
import { rows } from './rows/index.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    column: { type: 'string', multiple: true, default: [...columns] },
    figure: { type: 'string', multiple: true, default: [] },
    dry: { type: 'boolean', default: false },
  },
});

const results = readResults();
const failures =
  values.figure.length > 0
    ? values.figure.flatMap(name => figureOf(name, results))
    : await situations(results, values.only, values.column);
if (!values.dry) keep(results);
for (const failure of failures) console.error(failure);
process.exitCode = failures.length > 0 ? 1 : 0;

/** Two cells at a time. */
async function situations({ cells }: Results, only: string[], wanted: string[]): Promise<string[]> {
  const unknown = wanted.find(name => !columns.includes(name as Column));
  if (unknown !== undefined)
    throw new TypeError(`Expected a column of ${columns.join(', ')}, got \`${unknown}\``);
  const work = rows
    .filter(({ name }) => only.length === 0 || only.some(part => name.includes(part)))
    .flatMap(row => wanted.map(column => ({ row, column: column as Column })));
  if (work.length === 0) throw new TypeError(`There is no row with ${only.join(' or ')} in its name`);
  const surprises: string[] = [];
  const worker = async () => {
    for (let next = work.shift(); next; next = work.shift()) {
      const { row, column } = next;
      const verdict = await judge(row, column);
      console.log(`${column.padEnd(12)} ${row.name}: ${verdict}`);
      cells[row.name] = { ...cells[row.name], [column]: verdict };
      if (ours.includes(column) && isFailure(verdict) && known[row.name] === undefined)
        surprises.push(`not known to fail: ${column}, ${row.name}: ${verdict}`);
    }
  };
  await Promise.all([worker(), worker()]);
  return surprises;
}

/** Runs the command of a promise once for all the promises that it makes figures of. */
function figureOf(name: string, { figures }: Results): string[] {
  const command = promises[name]?.command;
  if (command === undefined) throw new TypeError(`There is no promise \`${name}\``);
  const { stdout, status } = spawnSync(command, {
    shell: true,
    encoding: 'utf8',
    maxBuffer: 1e9,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.stdout.write(stdout);
  if (status !== 0) return [`${command} ended with ${status}`];
  for (const [one, { command: by, figure }] of Object.entries(promises))
    if (by === command && figure) figures[one] = figure(stdout);
  return [];
}
