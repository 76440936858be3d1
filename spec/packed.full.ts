/** Installs the packed package into an empty folder and loads every subpath, by `import` and by `require`. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const run = (cwd: string, command: string, ...args: string[]) =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

const { exports: paths, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
const folder = mkdtempSync(join(tmpdir(), 'leat-packed-'));
try {
  run('.', 'npm', 'run', '-s', 'build');
  const [{ filename }] = JSON.parse(run('.', 'npm', 'pack', '--json', '--pack-destination', folder));
  run(folder, 'npm', 'init', '-y');
  const api = `@opentelemetry/api@${devDependencies['@opentelemetry/api']}`;
  run(folder, 'npm', 'install', '--silent', join(folder, filename), '@grpc/grpc-js', api);
  for (const path of Object.keys(paths)) {
    if (path === './package.json') continue;
    const name = join('leat', path);
    const imported = `import * as all from '${name}'; console.log(Object.keys(all).sort().join(' '))`;
    const required = `console.log(Object.keys(require('${name}')).sort().join(' '))`;
    const names = run(folder, 'node', '--input-type=module', '-e', imported).trim();
    const same = run(folder, 'node', '--no-warnings', '--input-type=commonjs', '-e', required).trim();
    if (names === '' || names !== same)
      throw new Error(`${name}: import gives ${names}, require gives ${same}`);
    console.log(`${name}: ${names}`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
