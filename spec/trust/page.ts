import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { cache } from '../conformance/cache.ts';
import type { Verdict } from './cell.ts';
import { known, ours } from './known.ts';
import { promises } from './promises.ts';
import { type Column, columns, type Row } from './row.ts';
import { groups } from './rows/index.ts';

/** All that was found out so far, kept in the repository: a run might be of some rows only. */
export interface Results {
  /** What it was found out on. */
  versions: string;
  cells: Record<string, Partial<Record<Column, Verdict>>>;
  /** The figures of promises. */
  figures: Record<string, string>;
  /** Cases of the conformance suite, passed and all, by variant. */
  conformance: Record<string, string>;
}

const stored = new URL('results.json', import.meta.url);
const page = new URL('../../docs/trust.md', import.meta.url);

const none: Results = { versions: '', cells: {}, figures: {}, conformance: {} };

export function readResults(): Results {
  return existsSync(stored) ? JSON.parse(readFileSync(stored, 'utf8')) : none;
}

/** Keeps the results, and writes the parts of docs/trust.md that are made of them. */
export function keep(results: Results): void {
  results.versions = versions();
  results.conformance = { ...results.conformance, ...conformance() };
  writeFileSync(stored, `${JSON.stringify(results, null, 2)}\n`);
  let text = readFileSync(page, 'utf8');
  for (const [name, block] of Object.entries(blocksOf(results))) {
    const marked = new RegExp(`(<!-- ${name}:start -->)[\\s\\S]*(<!-- ${name}:end -->)`);
    text = text.replace(marked, (_, start, end) => `${start}\n\n${block}\n\n${end}`);
  }
  writeFileSync(page, text);
}

/** The generated parts of the page, by the names of their marks. */
export function blocksOf(results: Results): Record<string, string> {
  return {
    counts: [results.versions, countsOf(results)].join('\n\n'),
    situations: situationsOf(results),
    weak: weakOf(results),
    promises: promisesOf(results),
    conformance: conformanceOf(results),
  };
}

const line = (...cells: (string | number)[]) => `| ${cells.join(' | ')} |`;
const table = (head: string[], rows: string[][]) =>
  [line(...head), line(...head.map(() => '---')), ...rows.map(row => line(...row))].join('\n');

function countsOf({ cells }: Results): string {
  const verdicts = (column: Column) =>
    Object.values(groups)
      .flat()
      .map(({ name }) => cells[name]?.[column] ?? 'not run');
  const count = (kind: string, holds: (verdict: Verdict) => boolean) => [
    kind,
    ...columns.map(column => String(verdicts(column).filter(holds).length)),
  ];
  const failed = (verdict: Verdict) => !['ok', 'n.a.', 'not run'].includes(verdict);
  return table(
    ['situations', ...columns],
    [count('ok', one => one === 'ok'), count('fails', failed), count('n.a.', one => one === 'n.a.')],
  );
}

function situationsOf({ cells }: Results): string {
  const shown = (row: Row) => [row.name, ...columns.map(column => cells[row.name]?.[column] ?? 'not run')];
  return Object.entries(groups)
    .map(([beginning, rows]) => table([`${beginning} …`, ...columns], rows.map(shown)))
    .join('\n\n');
}

/** What fails in our own columns, and why. */
function weakOf({ cells }: Results): string {
  const weak = Object.values(groups)
    .flat()
    .map(({ name }) => ({ name, where: ours.filter(column => isFailure(cells[name]?.[column])) }))
    .filter(({ where }) => where.length > 0);
  return weak
    .map(
      ({ name, where }) => `- ${name} (${where.map(one => `\`${one}\``).join(', ')}): ${known[name] ?? '?'}`,
    )
    .join('\n');
}

export function isFailure(verdict: Verdict | undefined): boolean {
  return verdict !== undefined && verdict !== 'ok' && verdict !== 'n.a.';
}

function promisesOf({ figures }: Results): string {
  return table(
    ['', 'promise', 'figure', 'made by'],
    Object.entries(promises).map(([name, { promise, command, recorded }]) => [
      name,
      promise,
      recorded?.() ?? figures[name] ?? 'not recorded here',
      `\`${command}\``,
    ]),
  );
}

function conformanceOf(results: Results): string {
  const rows = Object.entries(results.conformance).map(([variant, passed]) => [variant, passed]);
  return table(['variant', 'cases passed'], rows);
}

/** Of the last `npm run conformance` on this machine. */
function conformance(): Record<string, string> {
  if (!existsSync(cache)) return {};
  const logs = readdirSync(cache).filter(name => name.endsWith('.log'));
  return Object.fromEntries(
    logs.map(name => {
      const log = readFileSync(join(cache, name), 'utf8');
      const [, total = '?'] = /^Total cases: (\d+)$/m.exec(log) ?? [];
      const [, passed = '?'] = /^(\d+) passed/m.exec(log) ?? [];
      return [name.replace('.log', '').replace(' ', ': '), `${passed} of ${total}`];
    }),
  );
}

function versions(): string {
  const folders = createRequire(import.meta.url).resolve.paths('x') ?? [];
  const version = (name: string) => {
    const path = folders.map(folder => join(folder, name, 'package.json')).find(existsSync);
    return `${name} ${path ? JSON.parse(readFileSync(path, 'utf8')).version : '?'}`;
  };
  const names = ['@grpc/grpc-js', 'nice-grpc', '@connectrpc/connect-node'];
  return [`Node ${process.versions.node}`, ...names.map(version)].join(', ');
}
