import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { type Cell, install, serves, table } from './lab.ts';

const NODES = ['20.19.0', '22.12.0', '24', '26'];

/** The package on each runtime, however it is loaded. */
export async function engines(): Promise<string> {
  const binary = `node-${process.platform}-${process.arch}`;
  const tools = Object.fromEntries(NODES.map(version => [`node-${version}`, `npm:${binary}@${version}`]));
  const cwd = install('engines', { ...tools, bun: '^1', deno: '^2' });
  execFileSync('npm', ['rebuild', '--silent', 'bun', 'deno'], {
    cwd,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ways = ['import.mjs', 'require.cjs', 'both.mjs'];
  const rows: Record<string, Cell[]> = {};
  for (const version of NODES) {
    const node = join(cwd, `node_modules/node-${version}/bin/node`);
    const runs = Number.parseInt(version, 10) >= 24 ? [...ways, 'typed.ts'] : ways;
    rows[`Node ${versionOf(node)}`] = runs.map(program => () => serves(cwd, node, program));
    if (runs === ways) rows[`Node ${versionOf(node)}`]?.push(undefined);
  }
  const bun = join(cwd, 'node_modules/.bin/bun');
  rows[`Bun ${versionOf(bun)}`] = [...ways, 'typed.ts'].map(way => () => serves(cwd, bun, 'run', way));
  const deno = join(cwd, 'node_modules/.bin/deno');
  rows[`Deno ${versionOf(deno)}`] = [...ways.map(way => ['--no-check', way]), ['--check', 'typed.ts']].map(
    args => () => serves(cwd, deno, 'run', '-A', ...args),
  );
  return table('runtime', ['`import`', '`require`', 'both in one process', 'TypeScript as it is'], rows);
}

function versionOf(binary: string): string {
  const said = execFileSync(binary, ['--version'], { encoding: 'utf8' });
  return said.match(/\d+\.\d+\.\d+/)?.[0] ?? said;
}
