/**
 * Generates one service with each generator that docs/definitions.md names, compiles what mounts it with the oldest
 * and the newest TypeScript, strict and not, and calls it. Takes two minutes and the registry; fails when something
 * that must not compile does, or the other way round, or when spec/generators/protobuf-es is not what is generated.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const run = (cwd: string, command: string, ...args: string[]) =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

const COMPILERS = ['typescript-5.4', 'typescript-5.9', 'typescript'];

const dist = 'node_modules/leat/dist';
const RESOLUTIONS = {
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
  node10: {
    module: 'commonjs',
    moduleResolution: 'node10',
    baseUrl: '.',
    paths: {
      leat: [`${dist}/lib/index.d.ts`],
      'leat/protobuf-es': [`${dist}/lib/protobuf-es/index.d.ts`],
      'leat/*': [`${dist}/middleware/*.d.ts`],
    },
  },
};

const folder = mkdtempSync(join(tmpdir(), 'leat-generators-'));
try {
  const here = join(folder, 'spec/generators');
  cpSync('spec/generators', here, { recursive: true });
  cpSync('spec/types/expect-type.ts', join(folder, 'spec/types/expect-type.ts'));
  run('.', 'npm', 'run', '-s', 'build');
  const [{ filename }] = JSON.parse(run('.', 'npm', 'pack', '--json', '--pack-destination', folder));
  cpSync('spec/generators/package.json', join(folder, 'package.json'));
  run(folder, 'npm', 'install', '--silent', '--ignore-scripts', join(folder, filename));
  for (const file of ['route_book.proto', 'buf.gen.yaml']) cpSync(join(here, file), join(folder, file));
  run(folder, 'npx', 'buf', 'generate', 'route_book.proto', '--output', 'spec/generators');
  const loader = ['--longs=String', '--enums=String', '--defaults', '--oneofs', '--grpcLib=@grpc/grpc-js'];
  const out = '--outDir=spec/generators/generated/proto-loader';
  run(folder, 'npx', 'proto-loader-gen-types', ...loader, out, 'route_book.proto');
  const [kept, made] = ['protobuf-es', 'generated/protobuf-es'].map(at =>
    readFileSync(join(here, at, 'route_book_pb.ts'), 'utf8'),
  );
  if (kept !== made) throw new Error('spec/generators/protobuf-es has to be generated anew');

  for (const compiler of COMPILERS)
    for (const strict of [true, false])
      for (const [how, options] of Object.entries(RESOLUTIONS)) {
        if (compiler === 'typescript' && how === 'node10') continue; // The newest has none.
        compile(folder, compiler, strict, options);
        console.log(`${compiler} ${versionOf(compiler)}, ${strict ? 'strict' : 'not strict'}, ${how}`);
      }
  console.log(run(folder, 'npx', 'tsx', 'spec/generators/checks/run.ts'));
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function versionOf(name: string): string {
  return JSON.parse(readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8')).version;
}

/** Errors within what was generated are the generator's: some are not made for all that is compiled here. */
function compile(folder: string, compiler: string, strict: boolean, options: object): void {
  const compilerOptions = {
    ...options,
    ...{ target: 'es2022', lib: ['es2023', 'esnext.disposable'], strict, esModuleInterop: true },
    ...{ types: ['node'], skipLibCheck: true, noEmit: true, allowImportingTsExtensions: true },
  };
  const project = { compilerOptions, include: ['spec/generators/checks'] };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(project));
  const tsc = join('node_modules', compiler, 'bin/tsc');
  const { stdout, stderr, status } = spawnSync('node', [tsc, '-p', '.'], { cwd: folder, encoding: 'utf8' });
  const errors = stdout.split('\n').filter(line => /^\S/.test(line) && !line.includes('/generated/'));
  if (errors.length > 0 || (status !== 0 && stdout === ''))
    throw new Error([compiler, JSON.stringify(options), ...errors, stderr].join('\n'));
}
