import { spawn } from 'node:child_process';
import { expect } from 'chai';

describe('the guard of the specs', () => {
  guards();
});

function guards(): void {
  it('S21 fails a run in which a rejection is not handled', async () => {
    const at = (path: string) => new URL(path, import.meta.url).pathname;
    const mocha = ['--import', 'tsx', at('../../node_modules/mocha/bin/mocha.js'), '--no-config'];
    const guarded = [...mocha, '--require', at('./guard.ts'), at('./escaping.ts')];
    const { code, output } = await new Promise<{ code: number | null; output: string }>(resolve => {
      const child = spawn(process.execPath, guarded);
      let output = '';
      child.stdout.on('data', chunk => {
        output += chunk;
      });
      child.on('close', code => resolve({ code, output }));
    });
    expect(code, output).to.not.equal(0);
    expect(output).to.include('nobody waits for this');
  });
}
