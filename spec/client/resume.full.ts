// npx tsx spec/client/resume.full.ts [messages] [kills]
import { stopAll } from '../support/harness.ts';
import { type Plan, streamThroughKills } from './kills.ts';

const messages = Number(process.argv[2] ?? 1_000_000);
const kills = Number(process.argv[3] ?? 1000);
const plans: Record<string, Plan> = {
  'topic with history': { source: 'topic', messages, kills },
  cursor: { source: 'cursor', messages, kills },
  'cursor, cut at each byte from the first to the 400th': {
    source: 'cursor',
    messages: 5000,
    kills: 400,
    offset: kill => kill,
  },
  'topic with history, batches of 50, slow consumer': {
    source: 'topic',
    messages,
    kills,
    batch: 50,
    restEvery: 20,
  },
};

let failed = false;
for (const [what, plan] of Object.entries(plans)) {
  const report = await streamThroughKills(plan);
  const { kills, attempts, lost, repeated, disordered, seconds, gaps, cutGaps, codes } = report;
  failed ||= kills < plan.kills || lost + repeated + disordered > 0;
  console.log(
    `${what}: ${plan.messages} messages, ${kills} kills, ${attempts} attempts in ${seconds.toFixed(1)} s: ` +
      `lost ${lost}, repeated ${repeated}, out of order ${disordered}; ` +
      `gap p99 ${gaps.p99.toFixed(2)} ms, max ${gaps.max.toFixed(0)} ms; over a cut p50 ` +
      `${cutGaps.p50.toFixed(1)} ms, p99 ${cutGaps.p99.toFixed(1)} ms, max ${cutGaps.max.toFixed(0)} ms; ` +
      `${JSON.stringify(codes)}`,
  );
  await stopAll();
}
process.exitCode = failed ? 1 : 0;
