import { expect } from 'chai';
import { run } from '../support/program.ts';

describe('NATS', () => {
  it('is not loaded by any other entry of the package', async () => {
    const { code, stdout, stderr } = await run('spec/nats/loaded.ts');
    expect(stderr).to.equal('');
    expect(code).to.equal(0);
    expect(JSON.parse(stdout)).to.deep.equal({ before: [], after: true });
  });
});
