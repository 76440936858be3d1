import { spawn } from 'node:child_process';
import { expect } from 'chai';

describe('the guard of the specs', () => {
  guards();
});

function guards(): void {
  it('S21 fails a run in which a rejection is not handled', async () => {
    const { code, output } = await guarded('./escaping.ts');
    expect(code, output).to.not.equal(0);
    expect(output).to.include('nobody waits for this');
  });

  it('fails a run that something holds open, and names it', async () => {
    const { code, output } = await guarded('./holding.ts', { LEAT_PATIENCE_MS: '50' });
    expect(code, output).to.equal(1);
    expect(output)
      .to.include('1 passing')
      .and.match(/still open 50 ms after the last test:.*Timeout/s);
  });
}

/** A run of mocha with the guard. */
function guarded(
  file: string,
  env: NodeJS.ProcessEnv = {},
): Promise<{ code: number | null; output: string }> {
  const at = (path: string) => new URL(path, import.meta.url).pathname;
  const mocha = ['--import', 'tsx', at('../../node_modules/mocha/bin/mocha.js'), '--no-config'];
  const args = [...mocha, '--require', at('./guard.ts'), at(file)];
  return new Promise(resolve => {
    const child = spawn(process.execPath, args, { env: { ...process.env, ...env } });
    let output = '';
    for (const from of [child.stdout, child.stderr])
      from.on('data', chunk => {
        output += chunk;
      });
    child.on('close', code => resolve({ code, output }));
  });
}
