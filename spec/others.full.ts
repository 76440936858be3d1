/**
 * Runs the code of the pages about other people's servers (docs), with their packages: takes each block that begins
 * with the name of a file out of its page, installs what the page needs into a folder of its own, and runs its checks
 * against it. Exits with 1 when one fails.
 *
 *     npm run others [-- NAME...]
 *
 * The packages are kept in the cache of the user, and installed anew when a package.json changes.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { takePort } from './support/program.ts';

interface Page {
  /** Of its checks and its package.json; its page has the same name, unless `page` says another. */
  readonly folder: string;
  readonly page?: string;
  /** What differs from the package.json of the folder. */
  readonly versions?: Readonly<Record<string, string>>;
}

const nest12 = { '@nestjs/common': '12.5.1', '@nestjs/core': '12.5.1', '@nestjs/microservices': '12.1.1' };
const pages: Readonly<Record<string, Page>> = {
  'nestjs-11': { folder: 'nestjs' },
  'nestjs-12': { folder: 'nestjs', versions: nest12 },
  'nice-grpc': { folder: 'nice-grpc' },
  express: { folder: 'express' },
  instrumentation: { folder: 'instrumentation' },
  'dd-trace': { folder: 'dd-trace', page: 'instrumentation' },
};

const tsconfig = { compilerOptions: { experimentalDecorators: true, target: 'es2022', module: 'nodenext' } };
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'leat-others');

const npm = (cwd: string, ...args: string[]) =>
  execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

/** The files that a page shows. */
function filesOf(page: string): [name: string, code: string][] {
  const text = readFileSync(`docs/${page}.md`, 'utf8');
  const blocks = text.matchAll(/^```(?:ts|js)\n\/\/ (\S+\.(?:ts|mjs))\n([\s\S]*?)^```$/gm);
  return [...blocks].map(([, name = '', code = '']) => [name, code]);
}

/** A folder with the packages of a page, as they are installed. */
function installed(name: string, { folder, versions = {} }: Page, tarball: string): string {
  const manifest = JSON.parse(readFileSync(`spec/others/${folder}/package.json`, 'utf8'));
  Object.assign(manifest.dependencies, versions);
  const text = JSON.stringify(manifest);
  const home = join(cache, `${name}-${createHash('sha256').update(text).digest('hex').slice(0, 12)}`);
  if (!existsSync(join(home, 'installed'))) {
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, 'package.json'), text);
    npm(home, 'install', '--silent', '--no-package-lock', '--ignore-scripts');
    writeFileSync(join(home, 'installed'), '');
  }
  npm(home, 'install', '--silent', '--no-package-lock', '--ignore-scripts', '--no-save', tarball);
  return home;
}

async function run(name: string, page: Page, tarball: string): Promise<boolean> {
  const home = installed(name, page, tarball);
  cpSync('spec/others/check.ts', join(home, 'check.ts'));
  cpSync('proto/route_guide.proto', join(home, 'route_guide.proto'));
  writeFileSync(join(home, 'tsconfig.json'), JSON.stringify(tsconfig));
  for (const [file, code] of filesOf(page.page ?? page.folder)) writeFileSync(join(home, file), code);
  const own = readdirSync(`spec/others/${page.folder}`).filter(file => file.endsWith('.ts'));
  for (const file of own) cpSync(`spec/others/${page.folder}/${file}`, join(home, file));
  const checks = own.filter(file => file.endsWith('.check.ts'));
  let ok = checks.length > 0;
  for (const check of checks) {
    console.log(`${name}: ${check}`);
    const taken = await takePort();
    await taken?.giveBack();
    const { status } = spawnSync(process.execPath, ['--import', 'tsx', check], {
      cwd: home,
      stdio: ['ignore', 'inherit', 'inherit'],
      timeout: 60_000,
      env: { ...process.env, NO_COLOR: '1', ADDRESS: `127.0.0.1:${taken?.port}` },
    });
    ok &&= status === 0;
    if (status !== 0) console.error(`${name}: ${check} ended with ${status}`);
  }
  return ok;
}

const wanted = process.argv.slice(2);
const unknown = wanted.find(name => !Object.hasOwn(pages, name));
if (unknown !== undefined) {
  console.error(`There is no page called \`${unknown}\`; there are: ${Object.keys(pages).join(', ')}`);
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'leat-others-'));
try {
  npm('.', 'run', '-s', 'build');
  const [{ filename }] = JSON.parse(npm('.', 'pack', '--json', '--pack-destination', folder));
  for (const [name, page] of Object.entries(pages))
    if (wanted.length === 0 || wanted.includes(name))
      if (!(await run(name, page, join(folder, filename)))) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
