import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { devDependencies, install, installed, passes, table } from './lab.ts';

const LOADED = {
  mjs: "import loaded from './imported.mjs';\nimport scenario from './scenario.cjs';\n",
  cjs: "const loaded = require('./required.cjs');\nconst scenario = require('./scenario.cjs');\n",
  ts: `import * as leat from 'leat';
import * as batch from 'leat/batch';
import * as errors from 'leat/errors';
import * as sources from 'leat/sources';
import scenario from './scenario.cjs';

const loaded: object = { leat, sources, errors, batch };
`,
};

/** The package in a test under each runner, as it is set up by default. */
export async function runners(): Promise<string> {
  const tools = { mocha: devDependencies.mocha, vitest: '*', jest: '^30', 'ts-jest': '^29.4' };
  const types = { '@types/jest': '^30', typescript: '~5.9.2' };
  const cwd = install('runners', { ...tools, ...types, tsx: devDependencies.tsx });
  const options = { module: 'node16', target: 'es2022', strict: true, esModuleInterop: true };
  writeFileSync(join(cwd, 'tsconfig.json'), JSON.stringify({ compilerOptions: options }));
  const node = (...args: string[]) => passes(cwd, process.execPath, ...args);
  const bin = (name: string) => join(cwd, 'node_modules/.bin', name);
  const jest = (config: object, ...args: string[]) =>
    node('--experimental-vm-modules', bin('jest'), '--config', JSON.stringify(config), ...args);

  function test(name: string, kind: keyof typeof LOADED, head: string = ''): string {
    writeFileSync(join(cwd, name), `${head}${LOADED[kind]}it('serves', () => scenario(loaded));\n`);
    return name;
  }
  const vitest = "import { it } from 'vitest';\n";
  const nodeTest = "import { it } from 'node:test';\n";
  return table('runner', ['`import`', '`require`', 'TypeScript'], {
    [`mocha ${installed(cwd, 'mocha')}`]: [
      () => node(bin('mocha'), test('mocha.test.mjs', 'mjs')),
      () => node(bin('mocha'), test('mocha.test.cjs', 'cjs')),
      () => node('--import', 'tsx', bin('mocha'), test('mocha.test.ts', 'ts')),
    ],
    [`vitest ${installed(cwd, 'vitest')}`]: [
      () => node(bin('vitest'), 'run', test('vitest.test.mjs', 'mjs', vitest)),
      undefined,
      () => node(bin('vitest'), 'run', test('vitest.test.ts', 'ts', vitest)),
    ],
    [`jest ${installed(cwd, 'jest')}`]: [
      () => jest({ testRegex: 'jest.test.mjs$', transform: {} }, test('jest.test.mjs', 'mjs')),
      // By default: no module of ECMAScript, no option, no transform of ours.
      () => node(bin('jest'), test('jest.test.js', 'cjs')),
      () => jest({ testRegex: 'jest.test.ts$', preset: 'ts-jest' }, test('jest.test.ts', 'ts')),
    ],
    [`node:test of ${process.versions.node}`]: [
      () => node('--test', test('node.test.mjs', 'mjs', nodeTest)),
      () => node('--test', test('node.test.cjs', 'cjs', "const { it } = require('node:test');\n")),
      () => node('--import', 'tsx', '--test', test('node.test.ts', 'ts', nodeTest)),
    ],
  });
}
