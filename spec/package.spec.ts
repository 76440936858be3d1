import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { missing } from '../tools/api/complete.ts';
import { pages } from '../tools/api/pages.ts';
import { report } from '../tools/api/report.ts';
import { read as readSurface, type Surface } from '../tools/api/surface.ts';
import { entries, exportsOf, paths, typesVersions } from '../tools/entries.ts';

const read = (file: string) => JSON.parse(readFileSync(file, 'utf8'));

describe('the package', () => {
  const folder = mkdtempSync(join(tmpdir(), 'leat-package-'));
  after(() => rmSync(folder, { recursive: true, force: true }));

  before(function () {
    this.timeout(60_000);
    writeFileSync(join(folder, 'package.json'), readFileSync('package.json'));
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
    execFileSync('tsx', ['tools/build.ts', join(folder, 'dist')]);
  });

  it('exports each file of middleware/ and each room with an index; after adding one: `npm run exports`', () => {
    const { exports, typesVersions: versions } = read('package.json');
    const { compilerOptions } = read('tsconfig.json');
    expect({ exports, versions, paths: compilerOptions.paths }).to.deep.equal({
      exports: exportsOf(),
      versions: typesVersions(),
      paths: paths(),
    });
  });

  it('is the same by `import` and by `require` in one process, name by name', () => {
    const program = `
      import { createRequire } from 'node:module';
      const require = createRequire(import.meta.url);
      const differing = [];
      for (const name of ${JSON.stringify([...entries.keys()])}) {
        const path = name === '.' ? 'leat' : 'leat/' + name;
        const [imported, required] = [await import(path), require(path)];
        for (const key of new Set([...Object.keys(imported), ...Object.keys(required)]))
          if (imported[key] !== required[key]) differing.push(path + ' ' + key);
        if (Object.keys(imported).length === 0) differing.push(path + ' is empty');
      }
      console.log(JSON.stringify(differing));
    `;
    writeFileSync(join(folder, 'both.mjs'), program);
    const printed = execFileSync('node', ['both.mjs'], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    expect(JSON.parse(printed)).to.deep.equal([]);
  });

  describe('its surface', () => {
    let surface: Surface;
    before(function () {
      this.timeout(20_000);
      surface = readSurface(join(folder, 'dist'));
    });

    it('is what docs/api-report.md shows to a review; after a change: `npm run api`', () => {
      expect(report(surface)).to.equal(readFileSync('docs/api-report.md', 'utf8'));
    });

    it('is described in docs/api by its comments; after a change: `npm run api`', () => {
      const written = readdirSync('docs/api').map(name => [name, readFileSync(`docs/api/${name}`, 'utf8')]);
      expect(Object.fromEntries(written)).to.deep.equal(Object.fromEntries(pages(surface)));
    });

    it('has comments that say all there is to say', () => {
      expect(missing(surface)).to.deep.equal([]);
    });
  });
});
