import { execFileSync } from 'node:child_process';
import { expect } from 'chai';

const [major] = process.versions.node.split('.').map(Number);

describe('ticks', () => {
  it('keep their shape for ever in Node 20, or HTTP/2 is slow once it was collected', () => {
    const program = `
      import { executionAsyncResource } from 'node:async_hooks';
      import { tick } from './lib/grpc-js/ticks.ts';
      process.nextTick(() => console.log(%HaveSameMap(tick, executionAsyncResource())));`;
    const flags = ['--import', 'tsx', '--allow-natives-syntax', '--input-type=module'];
    const same = execFileSync(process.execPath, [...flags, '--eval', program], { encoding: 'utf8' });
    expect(same.trim()).to.equal(String(major === 20));
  });
});
