/**
 * Starts a compiled script of the bench on plain Node, and its children with it. Another Node than the one at hand is
 * named by `--node`, or by LEAT_NODE in the environment: a path, or a version that npx fetches once.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  options: {
    node: { type: 'string', default: process.env.LEAT_NODE || process.versions.node },
    quick: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const [script, ...names] = positionals;
const path = fileURLToPath(new URL(`./dist/${script}.js`, import.meta.url));
const { status, error } = spawnSync(
  binary(values.node),
  [path, ...names, ...(values.quick ? ['--quick'] : [])],
  { stdio: 'inherit' },
);
if (error) throw error;
process.exitCode = status ?? 1;

function binary(node: string): string {
  if (node.includes('/')) return node;
  if (`${process.versions.node}.`.startsWith(`${node}.`)) return process.execPath;
  return execFileSync('npx', ['-y', `node@${node}`, '-p', 'process.execPath'], { encoding: 'utf8' }).trim();
}
