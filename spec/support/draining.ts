/** A process that has streams of every kind until it is told to stop: then it has to leave by itself. */
import { configure, drainOn } from '../../lib/index.ts';
import { heartbeat } from '../../middleware/heartbeat.ts';
import { limits } from '../../middleware/limits.ts';
import { serve } from './harness.ts';
import { anyOf } from './ways.ts';

const hourMs = 3_600_000;

const running = await serve('mount', anyOf, [
  configure({ cleanupGraceMs: hourMs }),
  heartbeat({ everyMs: hourMs, make: () => 'beat' }),
  limits({ maxStreamAgeMs: hourMs, idleTimeoutMs: hourMs, maxStallMs: hourMs }),
]);
running.client.close();
drainOn(running.server, { graceMs: Number(process.argv[2]), after: () => console.log('drained') });
console.log(running.port);
