// npx tsx spec/support/otel-complete.full.ts [calls]
import { runCalls } from './otel-complete.ts';

const { calls, started, ended, wrong, late, active, complaints, byReason } = await runCalls(
  Number(process.argv[2] ?? 10_000),
);
console.log(`calls ${calls}, spans started ${started}, ended ${ended}, wrong ${wrong.length}, late ${late}`);
console.log(`still active ${active}, complaints of OpenTelemetry ${complaints.length}`, byReason);
for (const line of [...new Set(wrong)].slice(0, 10)) console.log(line);
process.exit(wrong.length + active + complaints.length === 0 && started === calls && ended === calls ? 0 : 1);
