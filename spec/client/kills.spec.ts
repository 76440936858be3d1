import { expect } from 'chai';
import { stopAll } from '../support/harness.ts';
import { type Plan, streamThroughKills } from './kills.ts';

const plans: Record<string, Plan> = {
  'a topic with history': { source: 'topic', messages: 30_000, kills: 60 },
  'a cursor': { source: 'cursor', messages: 30_000, kills: 60 },
  'a topic, in batches, to a slow consumer': {
    source: 'topic',
    messages: 20_000,
    kills: 40,
    batch: 50,
    restEvery: 20,
  },
  'a cursor, in batches, in slices of 7 bytes': {
    source: 'cursor',
    messages: 10_000,
    kills: 20,
    batch: 50,
    faults: { sliceBytes: 7 },
  },
  'a cursor, late and unevenly': {
    source: 'cursor',
    messages: 2000,
    kills: 10,
    faults: { latencyMs: 2, jitterMs: 4 },
  },
  'a topic, over a narrow line': {
    source: 'topic',
    messages: 5000,
    kills: 5,
    faults: { bandwidth: 500_000 },
  },
  'a cursor, cut at every other byte from the first to the 239th': {
    source: 'cursor',
    messages: 2000,
    kills: 120,
    offset: kill => 2 * kill - 1,
  },
};

describe('subscribe() through a network that fails', () => {
  afterEach(stopAll);

  for (const [what, plan] of Object.entries(plans)) {
    it(`R8 loses nothing, repeats nothing and keeps the order of ${what}: ${plan.kills} cuts`, async () => {
      const { kills, lost, repeated, disordered } = await streamThroughKills(plan);
      expect({ lost, repeated, disordered }).to.deep.equal({ lost: 0, repeated: 0, disordered: 0 });
      expect(kills).to.equal(plan.kills);
    });
  }
});
