import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { install, installed, passes, root, serves, table } from './lab.ts';

/** What dependencies that are CommonJS call in a bundle that is not. */
const BANNER = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

/** The package in a bundle, which runs where nothing is installed. */
export async function bundlers(): Promise<string> {
  const cwd = install('bundlers', { esbuild: '*', webpack: '^5' });
  const elsewhere = join(root, 'elsewhere');
  mkdirSync(elsewhere);

  async function alone(bundle: string): Promise<void> {
    copyFileSync(join(cwd, bundle), join(elsewhere, bundle));
    await serves(elsewhere, process.execPath, bundle);
  }

  async function esbuild(program: string): Promise<void> {
    const bundle = `esbuild-${program}`;
    const format = program.endsWith('.mjs') ? ['--format=esm', `--banner:js=${BANNER}`] : ['--format=cjs'];
    const to = ['--bundle', '--platform=node', '--log-level=warning', `--outfile=${bundle}`];
    await passes(cwd, join(cwd, 'node_modules/.bin/esbuild'), program, ...to, ...format);
    await alone(bundle);
  }

  async function webpack(program: string): Promise<void> {
    const filename = `webpack-${program.replace(/\.\w+$/, '.cjs')}`;
    const output = { path: cwd, filename };
    const config = { mode: 'production', target: 'node', context: cwd, entry: `./${program}`, output };
    const script = `require('webpack')(${JSON.stringify(config)}, (error, stats) => {
      if (!error && !stats.hasErrors() && !stats.hasWarnings()) return;
      console.error(error ?? stats.toString());
      process.exitCode = 1;
    });`;
    await passes(cwd, process.execPath, '-e', script);
    await alone(filename);
  }

  const programs = ['import.mjs', 'require.cjs', 'both.mjs'];
  return table('bundler', ['`import`', '`require`', 'both in one bundle'], {
    [`esbuild ${installed(cwd, 'esbuild')}`]: programs.map(program => () => esbuild(program)),
    [`webpack ${installed(cwd, 'webpack')}`]: programs.map(program => () => webpack(program)),
  });
}
