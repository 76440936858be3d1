/**
 * Random raw HTTP/2, valid and not, against every mount:
 *
 *     npx tsx spec/raw-http2.full.ts [minutes] [--seed=1]
 *     npx tsx spec/raw-http2.full.ts --replay '{"on":"mount","does":"parks","steps":[["open",{}],["end"]]}'
 *
 * Ten minutes, or as many as are given. Fails when anything is left open, or was started when it was over.
 */
import type { Input } from './support/raw-input.ts';
import { RawStage } from './support/raw-stage.ts';

const [, , first, second] = process.argv;
const given = process.argv.find(argument => argument.startsWith('--seed='));
const stage = await RawStage.open();
const failures: string[] = [];
for (const event of ['uncaughtException', 'unhandledRejection'])
  process.on(event, error => {
    console.error(
      event,
      error,
      'by one of',
      [...stage.running].map(input => JSON.stringify(input)),
    );
    failures.push(`${event}: ${error}`);
  });

if (first === '--replay') failures.push(...(await stage.check(JSON.parse(second ?? '') as Input)));
else {
  const end = Date.now() + Number(first?.startsWith('--') ? 10 : (first ?? 10)) * 60_000;
  const from = given ? Number(given.slice('--seed='.length)) : Date.now() | 0;
  let seed = from;
  for (; Date.now() < end; seed++) await stage.run(seed, 2000, end);
  console.error(`seeds from ${from} to ${seed - 1}`);
}
failures.push(...(await stage.verdicts(Date.now() + 60_000)));
console.table(stage.tally);
for (const failure of failures) console.error(failure);
await stage.close();
process.exit(failures.length > 0 ? 1 : 0);
