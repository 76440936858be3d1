import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (...path: string[]) => JSON.parse(readFileSync(join(root, ...path), 'utf8'));
const hooked = ['--import', 'tsx', '--import', './spec/support/oldest.mjs'];

/** Runs node in the root of the project, and gives what it printed. */
function node(args: string[]): Promise<{ failed: boolean; output: string }> {
  const { NODE_OPTIONS: _, ...env } = process.env;
  return new Promise(resolve => {
    execFile(process.execPath, args, { cwd: root, env, maxBuffer: 1 << 26 }, (error, out, err) =>
      resolve({ failed: error !== null, output: `${out}${err}` }),
    );
  });
}

describe('the oldest grpc-js', () => {
  it('is the lowest version that the peer dependency allows', () => {
    const { peerDependencies, devDependencies } = read('package.json');
    const version = peerDependencies['@grpc/grpc-js'].replace(/^\^/, '');
    expect(devDependencies['grpc-js-oldest']).to.equal(`npm:@grpc/grpc-js@${version}`);
    expect(read('node_modules', 'grpc-js-oldest', 'package.json').version).to.equal(version);
    expect(read('node_modules', '@grpc', 'grpc-js', 'package.json').version).not.to.equal(version);
  });

  it('is what the hook loads', async () => {
    const { output } = await node([
      ...hooked,
      '--input-type=module',
      '--eval',
      "console.log(import.meta.resolve('@grpc/grpc-js'))",
    ]);
    expect(output.trim()).to.match(/\/node_modules\/grpc-js-oldest\/build\/src\/index\.js$/);
  });

  for (const spec of ['mounts', 'wire/wire', 'wire/frames']) {
    it(`passes spec/${spec}.spec.ts`, async function () {
      this.timeout(120_000);
      const { failed, output } = await node([
        ...hooked,
        '--expose-gc',
        'node_modules/mocha/bin/mocha.js',
        '--no-config',
        '--no-package',
        ...['--require', './spec/support/guard.ts', '--timeout', '20000', '--reporter', 'dot'],
        `spec/${spec}.spec.ts`,
      ]);
      expect(failed, output).to.equal(false);
      expect(output).to.match(/[1-9]\d* passing/);
    });
  }
});
