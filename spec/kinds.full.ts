/**
 * Calls of each kind, on every mount, over all the ways in which a call can end: each has one span that ends, one line,
 * the right code in both and at its client, and gives its slot back. Takes some minutes. Exits with 1 when one has not.
 *
 *     npx tsx spec/kinds.full.ts [calls of each kind, 10,000]
 */
import { kinds } from './support/kinds.ts';
import { runKind } from './support/kinds-complete.ts';

const total = Number(process.argv[2] ?? 10_000);
for (const kind of kinds) {
  const from = performance.now();
  const { calls, started, ended, lines, slots, active, wrong, complaints, byReason } = await runKind(
    kind,
    total,
  );
  const seconds = ((performance.now() - from) / 1000).toFixed(1);
  console.log(
    `${kind}: calls ${calls}, spans started ${started}, ended ${ended}, lines ${lines}, slots held ${slots}, ` +
      `still active ${active}, wrong ${wrong.length}, complaints ${complaints.length}; ${seconds} s`,
    byReason,
  );
  for (const line of [...new Set(wrong), ...new Set(complaints)].slice(0, 10)) console.log(`  ${line}`);
  const right = [started, ended, lines].every(count => count === calls);
  if (!right || slots + active + wrong.length + complaints.length > 0) process.exitCode = 1;
}
process.exit();
