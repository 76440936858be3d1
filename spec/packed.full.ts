/**
 * Installs the packed package into an empty folder, loads every subpath, by `import` and by `require`, and checks
 * the types that are published: what compiles, and what must not, is what spec/types says.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const run = (cwd: string, command: string, ...args: string[]) =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

const { exports: paths, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
const versioned = (name: string) => `${name}@${devDependencies[name]}`;
/** What brings an optional package: loaded last, so that all the others are loaded where there is nothing of it. */
const optional = Object.entries({
  './nats': ['@nats-io/jetstream', '@nats-io/transport-node'],
  './protobuf-es': ['@bufbuild/protobuf'],
});
const folder = mkdtempSync(join(tmpdir(), 'leat-packed-'));
try {
  run('.', 'npm', 'run', '-s', 'build');
  const [{ filename }] = JSON.parse(run('.', 'npm', 'pack', '--json', '--pack-destination', folder));
  run(folder, 'npm', 'init', '-y');
  const api = versioned('@opentelemetry/api');
  run(folder, 'npm', 'install', '--silent', join(folder, filename), '@grpc/grpc-js', api);
  const last = optional.map(([path]) => path);
  const subpaths = Object.keys(paths).filter(path => path !== './package.json' && !last.includes(path));
  subpaths.push(...last);
  for (const path of subpaths) {
    for (const name of optional.find(([of]) => of === path)?.[1] ?? []) {
      if (existsSync(join(folder, 'node_modules', name))) throw new Error(`${name} was installed too`);
      run(folder, 'npm', 'install', '--silent', versioned(name));
    }
    const name = join('leat', path);
    const imported = `import * as all from '${name}'; console.log(Object.keys(all).sort().join(' '))`;
    const required = `console.log(Object.keys(require('${name}')).sort().join(' '))`;
    const names = run(folder, 'node', '--input-type=module', '-e', imported).trim();
    const same = run(folder, 'node', '--no-warnings', '--input-type=commonjs', '-e', required).trim();
    if (names === '' || names !== same)
      throw new Error(`${name}: import gives ${names}, require gives ${same}`);
    console.log(`${name}: ${names}`);
  }
  for (const from of ['spec/types', 'spec/generators/protobuf-es', 'proto/generated'])
    cpSync(from, join(folder, from), { recursive: true });
  const every = subpaths.map(path => `export type {} from '${join('leat', path)}';\n`);
  writeFileSync(join(folder, 'spec/types/every.ts'), every.join(''));
  run(folder, 'npm', 'pkg', 'set', 'type=module');
  for (const [moduleResolution, module] of [
    ['nodenext', 'nodenext'],
    ['bundler', 'esnext'],
  ]) {
    const compilerOptions = {
      ...{
        module,
        moduleResolution,
        target: 'es2022',
        lib: ['es2023', 'esnext.disposable'],
        types: ['node'],
      },
      ...{ strict: true, skipLibCheck: false, noEmit: true, allowImportingTsExtensions: true },
    };
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, include: ['spec/types'] }),
    );
    run(folder, resolve('node_modules/.bin/tsc'), '-p', '.');
    console.log(`types: ${moduleResolution}`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
