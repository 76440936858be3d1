/**
 * The pages as a stranger meets them: the packed package and everything else from the registry. Runs the blocks of the
 * README that are to be copied, each in an empty folder, and compiles all blocks against the packages that they name
 * and that are not installed here. Takes minutes; fails when a block does.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promised, readPages, root } from './support/docs/pages.ts';
import { Stage } from './support/docs/stage.ts';

/** What `spec/support/docs/packages.d.ts` stands for. */
const PACKAGES = ['vitest', 'kafkajs', 'redis', 'rxjs', 'openai'];

const run = (cwd: string, command: string, ...args: string[]) =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

const pages = readPages();
const folder = mkdtempSync(join(tmpdir(), 'leat-pages-'));
try {
  run(root, 'npm', 'run', '-s', 'build');
  const [{ filename }] = JSON.parse(run(root, 'npm', 'pack', '--json', '--pack-destination', folder));

  const readme = pages.find(({ path }) => path === 'README.md');
  const copied = readme?.blocks.filter(block => block.run && block.language === 'sh') ?? [];
  for (const [index, block] of copied.entries()) {
    const empty = join(folder, String(index));
    mkdirSync(empty);
    const commands = block.code.replace('install leat ', `install ${join(folder, filename)} `);
    const began = performance.now();
    const printed = run(empty, 'bash', '-e', '-c', commands);
    const seconds = ((performance.now() - began) / 1000).toFixed(0);
    const promise = readme && promised(readme, block);
    if (!promise || !printed.endsWith(promise))
      throw new Error(`${block.page}:${block.line} printed:\n${printed}`);
    console.log(`${block.page}:${block.line} runs as it is printed, in ${seconds} s`);
  }

  const theirs = join(folder, 'theirs');
  mkdirSync(theirs);
  writeFileSync(join(theirs, 'package.json'), '{}');
  run(theirs, 'npm', 'install', '--silent', ...PACKAGES);
  const stage = new Stage(join(theirs, 'node_modules'));
  for (const page of pages) stage.add(page);
  const errors = await stage.check();
  stage.close();
  if (errors.length > 0) throw new Error(errors.join('\n'));
  console.log(`all blocks compile against ${PACKAGES.join(', ')}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
