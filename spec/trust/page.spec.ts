import { existsSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { known, ours } from './known.ts';
import { blocksOf, isFailure, readResults } from './page.ts';
import { promises } from './promises.ts';
import { applies, columns } from './row.ts';
import { rows } from './rows/index.ts';

const results = readResults();
const page = readFileSync(new URL('../../docs/trust.md', import.meta.url), 'utf8');

describe('docs/trust.md', () => {
  it('has at least forty situations, each with a name of its own', () => {
    const names = new Set(rows.map(({ name }) => name));
    expect(names.size).to.equal(rows.length);
    expect(names.size).to.be.at.least(40);
  });

  it('has a verdict in every cell, and none of a situation that is gone', () => {
    const missing = rows.flatMap(({ name }) =>
      columns
        .filter(column => results.cells[name]?.[column] === undefined)
        .map(column => `${column}: ${name}`),
    );
    expect(missing).to.deep.equal([]);
    const names = rows.map(({ name }) => name);
    expect(Object.keys(results.cells).filter(name => !names.includes(name))).to.deep.equal([]);
  });

  it('leaves out no cell that there is', () => {
    const wrong = rows.flatMap(row =>
      columns.filter(column => applies(row, column) === (results.cells[row.name]?.[column] === 'n.a.')),
    );
    expect(wrong).to.deep.equal([]);
  });

  it('says why where a column of ours fails, and nothing of one that does not', () => {
    const failing = rows
      .filter(({ name }) => ours.some(column => isFailure(results.cells[name]?.[column])))
      .map(({ name }) => name);
    expect(failing.sort()).to.deep.equal(Object.keys(known).sort());
  });

  it('is what the results make', () => {
    const stale = Object.entries(blocksOf(results)).filter(([, block]) => !page.includes(block));
    expect(stale.map(([name]) => name)).to.deep.equal([]);
  });

  it('names scripts and specs that exist', () => {
    const files = Object.values(promises).flatMap(({ command }) => command.match(/spec\/\S+/g) ?? []);
    expect(files.filter(file => !existsSync(file))).to.deep.equal([]);
  });
});
