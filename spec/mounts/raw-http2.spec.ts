import { RawStage } from '../support/raw-stage.ts';

/** The suite takes a sample; `raw-http2.full.ts` takes its time. */
const runs = Number(process.env.LEAT_RUNS ?? 600);
const seed = Number(process.env.LEAT_SEED ?? Date.now() | 0);

describe('whatever a client sends, as raw HTTP/2, on every mount', () => {
  it('R6 S1 leaves nothing open, and starts nothing that is over', async () => {
    const stage = await RawStage.open();
    try {
      await stage.run(seed, runs, Date.now() + 15_000);
      const verdicts = await stage.verdicts(Date.now() + 10_000);
      if (verdicts.length > 0) throw new Error([`seed ${seed}:`, ...verdicts].join('\n'));
      const completed = Object.values(stage.tally).reduce((sum, row) => sum + row.completed, 0);
      if (completed === 0) throw new Error(`seed ${seed}: no call completed, so nothing was tried`);
    } finally {
      await stage.close();
    }
  }).timeout(60_000);
});
