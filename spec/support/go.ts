import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const hasGo = spawnSync('go', ['version']).status === 0;

/** The title of specs that need Go, with the reason if they are skipped. */
export const inGo: string = `Go${hasGo ? '' : ' (skipped: there is no `go` on the PATH)'}`;

/** A program of a Go module, built once on each machine; where Go is promised (LEAT_REQUIRE_ENGINES), it must be there. */
export async function goProgram(hook: Mocha.Context, path: string, version: string): Promise<string> {
  if (!hasGo) {
    if (process.env.LEAT_REQUIRE_ENGINES === '1') throw new Error('there is no `go` on the PATH');
    return hook.skip();
  }
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const folder = join(cache, 'leat-go', version, path.replaceAll('/', '-'));
  const program = join(folder, 'program');
  if (existsSync(program)) return program;
  // `go install` refuses modules that replace others of theirs; a module that needs them does not look at that.
  mkdirSync(folder, { recursive: true });
  const go = (...args: string[]) => run('go', args, { cwd: folder });
  if (!existsSync(join(folder, 'go.mod'))) await go('mod', 'init', 'program');
  await go('get', `${path}@${version}`);
  await go('build', '-o', program, path);
  return program;
}
