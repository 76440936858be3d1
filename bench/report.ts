import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { draw } from './chart.ts';
import type { Promised, Row, Table } from './lab.ts';

const docs = new URL('../../docs/', import.meta.url);
const results = new URL('../results/', import.meta.url);

/** What was measured, and on what. */
export function header(): string {
  const grpc = installed('@grpc/grpc-js');
  const nice = installed('nice-grpc');
  const theirs = installed('@grpc/grpc-js', nice.path);
  if (theirs.version !== grpc.version) {
    throw new Error(`nice-grpc is on grpc-js ${theirs.version}, everybody else on ${grpc.version}`);
  }
  return [
    `Node ${process.versions.node}`,
    `@grpc/grpc-js ${grpc.version}`,
    `nice-grpc ${nice.version}`,
    `@connectrpc/connect-node ${installed('@connectrpc/connect-node').version}`,
    `${availableParallelism()} CPUs`,
  ].join(', ');
}

/** The package.json that an import of `name` leads to. */
function installed(name: string, from = import.meta.url): { path: string; version: string } {
  const folders = createRequire(from).resolve.paths(name) ?? [];
  const path = folders.map(folder => join(folder, name, 'package.json')).find(existsSync);
  if (path === undefined) throw new Error(`${name} is not installed: npm install`);
  return { path, version: JSON.parse(readFileSync(path, 'utf8')).version };
}

/** A promise in words: what was measured, beside what was promised. */
export function sentence({ what, measured, atLeast, atMost }: Promised): string {
  const promised = atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`;
  return `${what}: ${text(measured)}, promised ${promised}`;
}

export function markdown({ title, rows }: Table): string {
  const columns = Object.keys(rows[0] ?? {});
  const cells = [columns, ...rows.map(row => columns.map(column => text(row[column])))];
  const widths = columns.map((_, index) => Math.max(...cells.map(line => line[index]?.length ?? 0)));
  const numeric = columns.map(column => rows.every(row => typeof row[column] === 'number'));
  const lines = cells.map(line => {
    const padded = line.map((cell, index) => {
      const width = widths[index] ?? 0;
      return numeric[index] ? cell.padStart(width) : cell.padEnd(width);
    });
    return `| ${padded.join(' | ')} |`;
  });
  const rule = widths.map((width, index) =>
    numeric[index] ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width),
  );
  lines.splice(1, 0, `| ${rule.join(' | ')} |`);
  return [`**${title}**`, '', ...lines].join('\n');
}

function text(value: Row[string] | undefined): string {
  if (typeof value !== 'number') return value ?? '';
  if (Number.isInteger(value) || Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}

/** Keeps the results of a full run: all of them as JSON, and in docs the tables and the charts of them. */
export function keep(tables: Table[]): void {
  mkdirSync(results, { recursive: true });
  const json = { header: header(), date: new Date().toISOString(), tables };
  writeFileSync(new URL('latest.json', results), `${JSON.stringify(json, null, 2)}\n`);
  const performance = new URL('performance.md', docs);
  if (!existsSync(performance)) return;

  const block = [header(), ...tables.map(markdown)].join('\n\n');
  const marked = /(<!-- bench:start -->)[\s\S]*(<!-- bench:end -->)/;
  const page = readFileSync(performance, 'utf8');
  if (!marked.test(page)) return;
  writeFileSync(
    performance,
    page.replace(marked, (_, start, end) => `${start}\n\n${block}\n\n${end}`),
  );
  draw(docs);
}
