/**
 * Builds dist/, or the folder that is named. The implementation is CommonJS, since everything can load that: `require`,
 * `import`, Jest, bundlers. What `import` finds are modules that pass its names on and hold nothing, so that a process
 * has one copy of all state, whichever way it came to it.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { entries } from './entries.ts';

const folder = resolve(process.argv[2] ?? 'dist');
rmSync(folder, { recursive: true, force: true });
emit('--emitDeclarationOnly');
// The declarations have the comments; in the code beside them nobody reads them.
emit(
  '--declaration',
  'false',
  '--declarationMap',
  'false',
  '--isolatedDeclarations',
  'false',
  '--removeComments',
);
// The package itself says `"type": "module"`.
write('package.json', JSON.stringify({ type: 'commonjs', sideEffects: false }));
const declarations = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.d.ts'))
  .map(name => name.slice(0, -'.d.ts'.length));
for (const name of declarations) {
  const text = readFileSync(join(folder, `${name}.d.ts`), 'utf8');
  // Not every tool follows a declaration to a `.ts`. It gets no longer or shorter: its map holds.
  write(`${name}.d.ts`, text.replace(/(from |import\()(['"]\.[^'"]*)\.ts(['"])/g, '$1$2.js$3'));
}
const published = reached([...entries.values()]);
for (const name of declarations) if (!published.has(name)) remove(`${name}.d.ts`, `${name}.d.ts.map`);
const require = createRequire(import.meta.url);
for (const name of entries.values()) {
  const names = Object.keys(require(join(folder, `${name}.js`))).sort();
  const file = `./${name.split('/').at(-1)}.js`;
  write(`${name}.mjs`, `export { ${names.join(', ')} } from '${file}';`);
  write(`${name}.d.mts`, `export * from '${file}';`);
}

function emit(...options: string[]): void {
  execFileSync('tsc', ['-p', 'tsconfig.build.json', '--outDir', folder, ...options], { stdio: 'inherit' });
}

function write(name: string, text: string): void {
  writeFileSync(join(folder, name), text.replace(/\n?$/, '\n'));
}

function remove(...names: string[]): void {
  for (const name of names) rmSync(join(folder, name));
}

/** The declarations that some public one names, and those that these name. */
function reached(names: string[]): Set<string> {
  const found = new Set(names);
  for (const name of found) {
    const text = readFileSync(join(folder, `${name}.d.ts`), 'utf8');
    for (const [, specifier] of text.matchAll(/(?:from |import\()['"](\.[^'"]*)\.js['"]/g))
      found.add(join(name, '..', specifier as string));
  }
  return found;
}
