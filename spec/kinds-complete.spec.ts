import { expect } from 'chai';
import { stopAll } from './support/harness.ts';
import { kinds } from './support/kinds.ts';
import { runKind } from './support/kinds-complete.ts';

const CALLS = 180;

describe('calls of all kinds', () => {
  afterEach(stopAll);

  for (const kind of kinds)
    it(`have one span, one line, the right code and no slot that is kept, however they end: ${kind}`, async () => {
      const { byReason, ...found } = await runKind(kind, CALLS);
      expect(found).to.deep.equal({
        ...{ calls: CALLS, started: CALLS, ended: CALLS, lines: CALLS },
        ...{ slots: 0, active: 0, wrong: [], complaints: [] },
      });
      expect(Object.keys(byReason)).to.have.length(7);
    }).timeout(60_000);
});
