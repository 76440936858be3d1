/** Writes what follows from the subpaths into package.json and tsconfig.json. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { exportsOf, paths, typesVersions } from './entries.ts';

const manifest = read('package.json');
write('package.json', { ...manifest, exports: exportsOf(), typesVersions: typesVersions() });

const config = read('tsconfig.json');
write('tsconfig.json', { ...config, compilerOptions: { ...config.compilerOptions, paths: paths() } });

execFileSync('biome', ['format', '--write', 'package.json', 'tsconfig.json'], { stdio: 'inherit' });

function read(file: string) {
  return JSON.parse(readFileSync(file, 'utf8'));
}

function write(file: string, content: unknown): void {
  writeFileSync(file, `${JSON.stringify(content, undefined, 2)}\n`);
}
