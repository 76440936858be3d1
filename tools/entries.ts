/**
 * The subpaths of the package, and all that follows from them: `exports` and `typesVersions` of package.json, and the
 * `paths` of tsconfig.json. A file in `middleware/` is a subpath, and so is a room of `lib/` that has an `index.ts`:
 * after adding one, `npm run exports` writes the rest, and spec/package.spec.ts says when that was forgotten.
 */
import { existsSync, readdirSync } from 'node:fs';

/** By the name of each subpath, as in `leat/sources`, its source; the package itself is `.`. */
export const entries: ReadonlyMap<string, string> = new Map([
  ['.', 'lib/index'],
  ...namesIn('lib', true)
    .map(room => [room, `lib/${room}/index`] as const)
    .filter(([, source]) => existsSync(`${source}.ts`)),
  ...namesIn('middleware', false).map(name => [name, `middleware/${name}`] as const),
]);

function namesIn(folder: string, areFolders: boolean): string[] {
  const found = readdirSync(folder, { withFileTypes: true }).filter(
    item => item.isDirectory() === areFolders,
  );
  return found.map(({ name }) => name.replace(/\.ts$/, '')).sort();
}

/** How the package is loaded: what `import` takes only passes on what `require` takes, so that there is one copy. */
export function exportsOf(): Record<string, unknown> {
  const paths = [...entries].map(([name, source]) => [
    name === '.' ? '.' : `./${name}`,
    {
      import: { types: `./dist/${source}.d.mts`, default: `./dist/${source}.mjs` },
      default: { types: `./dist/${source}.d.ts`, default: `./dist/${source}.js` },
    },
  ]);
  return { ...Object.fromEntries(paths), './package.json': './package.json' };
}

/** For `moduleResolution: node10`, which reads no `exports`. */
export function typesVersions(): Record<string, unknown> {
  const subpaths = [...entries].filter(([name]) => name !== '.');
  return { '*': Object.fromEntries(subpaths.map(([name, source]) => [name, [`./dist/${source}.d.ts`]])) };
}

/** For the checkout, where everything runs from the sources. */
export function paths(): Record<string, string[]> {
  return Object.fromEntries(
    [...entries].map(([name, source]) => [name === '.' ? 'leat' : `leat/${name}`, [`./${source}.ts`]]),
  );
}
