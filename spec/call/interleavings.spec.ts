import fc from 'fast-check';
import { plan, Stage } from '../support/interleavings.ts';

/** The suite takes a sample; `interleavings.full.ts` takes its time. */
const runs = Number(process.env.LEAT_RUNS ?? 2000);

describe('whatever happens to a call, in whatever order, on every mount', () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.open();
  });
  after(() => stage.close());

  it('R6 S1 S15 S21 ends once: one legal status, one end for each layer, one `finally`', async () => {
    let last: Promise<unknown> | undefined;
    await fc.assert(
      fc.asyncProperty(plan, async given => {
        const checked = stage.check(given);
        last = checked;
        const verdicts = await checked;
        if (verdicts.length > 0) throw new Error(verdicts.join('; '));
      }),
      { numRuns: runs, interruptAfterTimeLimit: 35_000, markInterruptAsFailure: false },
    );
    // On a slow machine time is up in the middle of one, whose calls are still to end.
    await last;
    const stragglers = stage.stragglers();
    if (stragglers.length > 0) throw new Error(stragglers.join('; '));
  }).timeout(60_000);
});
