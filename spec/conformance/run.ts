/**
 * Holds the built package to the conformance suite of ConnectRPC: its servers to be as a hand-written one of grpc-js
 * is, its client likewise.
 *
 *     npm run conformance [-- VARIANT...]
 *
 * Go installs the runner on the first run. Exits with 1 when something fails that is not known to (`known.ts`), or
 * something passes that is; with 2 when there is no Go.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cache, VERSION } from './cache.ts';
import { bare as alone, client, flaky, foreign, type Known, server, web } from './known.ts';

const RUNNER = 'connectrpc.com/conformance';
/** How much of what is wrong is shown; the logs have it all. */
const SHOWN = 20;
const runner = join(cache, 'connectconformance');

interface Variant {
  readonly mode: 'server' | 'client' | 'web';
  readonly name: string;
  readonly known: readonly Known[];
}

const variants: Variant[] = [
  ...variantsOf('server', [server, alone], 'bare'),
  ...variantsOf('server', [server], 'mount', 'produce', 'wrap', 'mount with every middleware'),
  ...variantsOf('server', [server, foreign], 'interceptor'),
  ...variantsOf('server', [server], ...['mount', 'produce', 'wrap'].map(name => `interceptor over ${name}`)),
  ...variantsOf('web', [web], 'web', 'web over wrap', 'web with every middleware'),
  ...variantsOf('client', [client], 'bare', 'subscribe', 'subscribe, and leave'),
];

function variantsOf(mode: Variant['mode'], known: Known[], ...names: string[]): Variant[] {
  return names.map(name => ({ mode, name, known }));
}

/** What grpc-js can do; JSON is YAML as well. */
const ofGrpc = {
  versions: ['HTTP_VERSION_2'],
  protocols: ['PROTOCOL_GRPC'],
  codecs: ['CODEC_PROTO'],
  compressions: ['COMPRESSION_IDENTITY', 'COMPRESSION_GZIP', 'COMPRESSION_DEFLATE'],
  supportsTls: true,
  supportsTlsClientCerts: true,
  supportsMessageReceiveLimit: true,
};
const streamTypes = ['STREAM_TYPE_SERVER_STREAM'];
/** What a browser can do. */
const features = {
  server: ofGrpc,
  client: { ...ofGrpc, streamTypes },
  web: {
    ...ofGrpc,
    versions: ['HTTP_VERSION_1', 'HTTP_VERSION_2'],
    protocols: ['PROTOCOL_GRPC_WEB'],
    compressions: ['COMPRESSION_IDENTITY'],
    streamTypes: ['STREAM_TYPE_UNARY', ...streamTypes],
  },
};

interface Result {
  readonly total: number;
  /** All that failed, known or not. */
  readonly failed: Set<string>;
  /** What failed though it should not, or passed though it should not. */
  readonly wrong: string[];
}

function go(...args: string[]): string {
  return execFileSync('go', args, { encoding: 'utf8', env: { ...process.env, GOBIN: cache } }).trim();
}

/** Answers where the messages of the runner are. */
function install(): string {
  if (spawnSync('go', ['version']).status !== 0) {
    console.error(
      'There is no `go` on the PATH, which the runner is installed by: get Go from https://go.dev/doc/install.',
    );
    process.exit(2);
  }
  mkdirSync(cache, { recursive: true });
  if (!existsSync(runner)) go('install', `${RUNNER}/cmd/connectconformance@${VERSION}`);
  const { Dir } = JSON.parse(go('mod', 'download', '-json', `${RUNNER}@${VERSION}`));
  return join(Dir, 'proto');
}

/** There is none by hand to compare it with. */
function isWeb(name: string): boolean {
  return name.startsWith('web');
}

/** What may fail now and then makes no difference. */
function isFlaky(name: string): boolean {
  const endings = Object.values(flaky).flatMap(patterns => patterns.map(one => one.replace(/^.*\*\*/, '')));
  return endings.some(ending => name.endsWith(ending));
}

function run({ mode, name, known }: Variant, proto: string): Result {
  const config = join(cache, `${mode}.yaml`);
  writeFileSync(config, JSON.stringify({ features: features[mode] }));
  const patterns = known.flatMap(reasons => Object.values(reasons).flat());
  const { stdout, stderr, status } = spawnSync(
    runner,
    [
      ...['--mode', mode === 'client' ? mode : 'server', '--conf', config, '--max-servers', '2', '-v'],
      ...patterns.flatMap(pattern => ['--known-failing', pattern]),
      ...(mode === 'client' ? Object.values(flaky).flat() : []).flatMap(one => ['--known-flaky', one]),
      ...['--', process.execPath, '--import', 'tsx', `spec/conformance/${mode}.ts`, name],
    ],
    {
      encoding: 'utf8',
      maxBuffer: 1e9,
      // Without the paths that stand for the sources, `leat` is the package that was built.
      env: { ...process.env, CONFORMANCE_PROTO: proto, TSX_TSCONFIG_PATH: 'tsconfig.build.json' },
    },
  );
  const log = `${stdout}\n${stderr}`;
  writeFileSync(join(cache, `${mode} ${name}.log`), log);
  const names = (pattern: RegExp) => [...log.matchAll(pattern)].map(([, found]) => String(found));
  const unexpected = names(/^FAILED: (.*?):?$/gm);
  const total = Number(/^Total cases: (\d+)$/m.exec(log)?.[1] ?? 0);
  const wrong = [...unexpected, ...names(/^(escaped: .*)$/gm)];
  if (status !== 0 && wrong.length === 0) wrong.push(`the runner ended with ${status}: ${log.slice(-500)}`);
  return {
    total,
    failed: new Set([
      ...unexpected.filter(one => !one.endsWith('was expected to fail but did not')),
      ...names(/^INFO: (.*) failed \(as expected\):?$/gm),
    ]),
    wrong,
  };
}

const wanted = process.argv.slice(2);
const unknown = wanted.find(name => !variants.some(variant => variant.name === name));
if (unknown !== undefined) {
  const names = [...new Set(variants.map(({ name }) => name))].join(', ');
  console.error(`There is no variant called \`${unknown}\`; there are: ${names}`);
  process.exit(2);
}
const proto = install();
execFileSync('npm', ['run', '-s', 'build'], { stdio: 'inherit' });
const bare = new Map<string, Set<string>>();
const rows: Record<string, object> = {};
let ok = true;
for (const variant of variants) {
  const { mode, name } = variant;
  if (wanted.length > 0 && !wanted.includes(name) && (name !== 'bare' || wanted.every(isWeb))) continue;
  const { total, failed, wrong } = run(variant, proto);
  if (name === 'bare') bare.set(mode, failed);
  const usual = bare.get(mode) ?? failed;
  const moreIn = (some: ReadonlySet<string>, others: ReadonlySet<string>) =>
    [...some].filter(one => !others.has(one) && !(mode === 'client' && isFlaky(one))).length;
  rows[`${mode}: ${name}`] = {
    passed: total - failed.size,
    'of total': total,
    known: failed.size - wrong.filter(one => failed.has(one)).length,
    'worse than bare': moreIn(failed, usual),
    'better than bare': moreIn(usual, failed),
  };
  for (const one of wrong.slice(0, SHOWN)) console.error(`${mode}: ${name}: ${one}`);
  if (wrong.length > SHOWN) console.error(`${mode}: ${name}: and ${wrong.length - SHOWN} more`);
  ok &&= wrong.length === 0;
}
console.table(rows);
console.log(`logs: ${cache}`);
process.exitCode = ok ? 0 : 1;
