import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { entries } from '../../tools/entries.ts';
import { type Cell, devDependencies, install, installed, passes, serves, table } from './lab.ts';

/** The oldest that is promised, the last that was written in itself, and the one of today. */
const VERSIONS = { '5.4': '~5.4.2', '5.9': '~5.9.2', newest: devDependencies.typescript };

/** By its column: the type of the user's package, `module` and `moduleResolution`. */
const MODES = {
  '`commonjs`': ['commonjs', 'commonjs', 'node10'],
  '`node16`, a CommonJS package': ['commonjs', 'node16', 'node16'],
  '`node16`, an ESM package': ['module', 'node16', 'node16'],
  '`nodenext`': ['module', 'nodenext', 'nodenext'],
  '`bundler`': ['module', 'esnext', 'bundler'],
} as const;

/** The types of the package in each module mode: what compiles, and what must not, is what spec/types says. */
export async function compilers(): Promise<string> {
  const aliases = Object.entries(VERSIONS).map(([name, range]) => [`ts-${name}`, `npm:typescript@${range}`]);
  const cwd = install('compilers', Object.fromEntries(aliases));
  for (const from of ['spec/types', 'proto/generated', 'spec/generators/protobuf-es'])
    cpSync(from, join(cwd, from), { recursive: true });
  // As they are compiled to something, not only checked, they name what they become.
  for (const file of readdirSync(join(cwd, 'spec/types'))) {
    const path = join(cwd, 'spec/types', file);
    writeFileSync(path, readFileSync(path, 'utf8').replace(/(from '\.[^']*)\.ts'/g, "$1.js'"));
  }
  const rows: Record<string, Cell[]> = {};
  for (const name of Object.keys(VERSIONS)) {
    const version = installed(cwd, `ts-${name}`);
    rows[`TypeScript ${version}`] = Object.values(MODES).map(
      mode => () => compiles(cwd, `ts-${name}`, version, mode),
    );
  }
  return table('compiler', Object.keys(MODES), rows);
}

async function compiles(
  cwd: string,
  compiler: string,
  version: string,
  [type, module, wanted]: readonly string[],
): Promise<void> {
  const major = Number.parseInt(version, 10);
  // From 7 on, `commonjs` resolves as bundlers do.
  const moduleResolution = wanted === 'node10' && major >= 6 ? 'bundler' : wanted;
  // The types of NATS itself need a resolution that reads `exports`.
  const withNats = moduleResolution !== 'node10';
  const subpaths = [...entries.keys()].filter(subpath => subpath !== 'nats' || withNats);
  const names = subpaths.map(subpath => (subpath === '.' ? 'leat' : `leat/${subpath}`));
  writeFileSync(join(cwd, 'every.ts'), names.map(name => `export type {} from '${name}';\n`).join(''));
  const manifest = JSON.parse(readFileSync(join(cwd, 'package.json'), 'utf8'));
  writeFileSync(join(cwd, 'package.json'), JSON.stringify({ ...manifest, type }));
  const outDir = [compiler, type, module].join('-');
  const options = { module, moduleResolution, target: 'es2022', lib: ['es2023', 'esnext.disposable'] };
  const compilerOptions = { ...options, types: ['node'], strict: true, rootDir: '.', outDir };
  const exclude = version.startsWith('5.4') ? ['spec/types/literals.ts'] : [];
  const config = { compilerOptions, include: ['typed.ts', 'every.ts', 'spec/types'], exclude };
  writeFileSync(join(cwd, `${outDir}.json`), JSON.stringify(config));
  const tsc = join(cwd, 'node_modules', compiler, 'bin/tsc');
  try {
    await passes(cwd, process.execPath, tsc, '-p', `${outDir}.json`);
  } catch (error) {
    // With 5.4, also grpc-js and NATS have types that it cannot read, for which users have `skipLibCheck`; and by
    // `bundler` it cannot read those of `long`, which the code that proto-loader generates is full of.
    const { stdout = '' } = error as { stdout?: string };
    const theirs = /^(node_modules\/(?!leat\/)|proto\/generated\/)/;
    if (stdout.split('\n').some(line => line.includes('error') && !theirs.test(line))) throw error;
  }
  await serves(cwd, process.execPath, join(outDir, 'typed.js'));
}
