import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const { devDependencies, peerDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));

/** Where everything is installed. */
export const root: string = mkdtempSync(join(tmpdir(), 'leat-runtimes-'));

/** What failed, cell by cell. */
export const failures: string[] = [];

let packed: string | undefined;

function pack(): string {
  execFileSync('npm', ['run', '-s', 'build'], { stdio: 'inherit' });
  const said = execFileSync('npm', ['pack', '--json', '--pack-destination', root], { encoding: 'utf8' });
  return join(root, JSON.parse(said)[0].filename);
}

/** A folder of its own with the package, what it stands on, some tools by the names they are to have, and programs. */
export function install(name: string, tools: Record<string, string>): string {
  packed ??= pack();
  const cwd = join(root, name);
  mkdirSync(cwd);
  const known = [...Object.keys(peerDependencies), '@types/node'].map(peer => [peer, devDependencies[peer]]);
  const dependencies = { leat: `file:${packed}`, ...Object.fromEntries(known), ...tools };
  writeFileSync(join(cwd, 'package.json'), JSON.stringify({ private: true, dependencies }));
  execFileSync('npm', ['install', '--silent', '--no-package-lock'], { cwd, stdio: 'inherit' });
  cpSync('spec/runtimes/programs', cwd, { recursive: true });
  return cwd;
}

/** The version of what was installed. */
export function installed(cwd: string, name: string): string {
  return JSON.parse(readFileSync(join(cwd, 'node_modules', name, 'package.json'), 'utf8')).version;
}

/** Runs a command that fails when something is wrong, and answers what it printed. */
export async function passes(cwd: string, command: string, ...args: string[]): Promise<string> {
  // What started this script is no business of what it starts.
  const { NODE_OPTIONS: _, ...rest } = process.env;
  const { stdout } = await run(command, args, { cwd, timeout: 240_000, env: { ...rest, NO_COLOR: '1' } });
  return stdout;
}

/** Runs a program that has to say that it has served. */
export async function serves(cwd: string, command: string, ...args: string[]): Promise<void> {
  const said = await passes(cwd, command, ...args);
  if (!said.includes('served')) throw new Error(`it has not served: ${said}`);
}

/** What is tried, where there is something to try. */
export type Cell = (() => Promise<unknown>) | undefined;

/** Tries each cell of a table, one after the other, and shows it in Markdown. */
export async function table(
  title: string,
  columns: readonly string[],
  rows: Record<string, Cell[]>,
): Promise<string> {
  const lines = [`| ${title} | ${columns.join(' | ')} |`, `| --- |${' :-: |'.repeat(columns.length)}`];
  for (const [name, cells] of Object.entries(rows)) {
    const shown: string[] = [];
    for (const [index, cell] of cells.entries()) shown.push(await tried(`${name}, ${columns[index]}`, cell));
    lines.push(`| ${name} | ${shown.join(' | ')} |`);
    console.error(lines.at(-1));
  }
  return lines.join('\n');
}

async function tried(name: string, cell: Cell): Promise<string> {
  try {
    await cell?.();
    return cell ? 'yes' : '–';
  } catch (error) {
    const { message, stdout, stderr } = error as Error & { stdout?: string; stderr?: string };
    failures.push([name, message, stdout, stderr].filter(Boolean).join('\n'));
    return '**no**';
  }
}
