/**
 * Random interleavings of all that may happen to a call, on every mount:
 *
 *     npx tsx spec/interleavings.full.ts [--full] [--seed=1]
 *
 * 10,000 plans, or 100,000, each run on four mounts. Fails on the first call that does not end once.
 */
import fc from 'fast-check';
import { counters } from '../lib/index.ts';
import { plan, Stage } from './support/interleavings.ts';

const numRuns = process.argv.includes('--full') ? 100_000 : 10_000;
const given = process.argv.find(argument => argument.startsWith('--seed='));
const seed = given ? Number(given.slice('--seed='.length)) : Date.now() | 0;

const escaped: unknown[] = [];
process.on('unhandledRejection', error => escaped.push(error));
process.on('uncaughtException', error => escaped.push(error));

const stage = await Stage.open();
const startedAt = performance.now();
let runs = 0;
const property = fc.asyncProperty(plan, async next => {
  runs += 1;
  if (runs % 10_000 === 0)
    console.error(`${runs} plans, ${Math.round((performance.now() - startedAt) / 1000)} s`);
  const verdicts = await stage.check(next);
  if (escaped.length > 0) throw new Error('escaped', { cause: escaped[0] });
  if (verdicts.length > 0) throw new Error(verdicts.join('; '));
});
const report = await fc.check(property, { numRuns, seed });
const stragglers = stage.stragglers();
console.table(stage.tally);
console.table({
  seed,
  plans: runs,
  calls: Object.values(stage.tally).reduce((sum, row) => sum + Object.values(row).reduce((a, b) => a + b), 0),
  seconds: Math.round((performance.now() - startedAt) / 1000),
  'escaped errors': escaped.length,
  'wrong ends': report.failed ? 1 : 0,
  'wrong ends found late': stragglers.length,
  ...counters,
});
if (report.failed) console.error(fc.defaultReportMessage(report));
for (const straggler of stragglers) console.error(straggler);
await stage.close();
process.exitCode = report.failed || escaped.length > 0 || stragglers.length > 0 ? 1 : 0;
