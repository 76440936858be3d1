/** Serves all examples until SIGINT or SIGTERM: `npm run serve -- [--port N] [--host HOST] [--speed N]`. */
import { logVerbosity, setLogVerbosity } from '@grpc/grpc-js';
import { drainOn } from 'leat';
import { services } from './examples.ts';
import { numberOf, portOf, read, UsageError, usedWrongly, wantsHelp } from './flags.ts';
import { listen } from './server.ts';

// What grpc-js prints about a port that is taken is in our error too.
const { GRPC_NODE_VERBOSITY, GRPC_VERBOSITY } = process.env;
if (!(GRPC_NODE_VERBOSITY ?? GRPC_VERBOSITY)) setLogVerbosity(logVerbosity.NONE);

const usage = 'usage: npm run serve -- [--port N] [--host HOST] [--speed N]';
if (wantsHelp(process.argv.slice(2))) {
  console.log(
    `${usage}\n  --port N   one port for all services, instead of those of their tutorials\n  --speed N  divides their pauses\nWith NATS_URL, updates come from JetStream.`,
  );
  process.exit(0);
}
try {
  const values = read(
    {
      port: { type: 'string' },
      host: { type: 'string', default: '127.0.0.1' },
      speed: { type: 'string', default: '1' },
    },
    process.argv.slice(2),
  );
  const speed = numberOf(values, 'speed', 0.001);
  const ports =
    values.port === undefined ? new Set(services.map(({ port }) => port)) : [portOf(values, 'port')];
  const log = (line: string) => console.error(line);
  const setting = { speed, log };
  const listening = await listen(services, String(values.host), [...ports], setting);
  const { server, address, others } = listening;
  onSignals(listening.leaving);
  drainOn(server, { graceMs: 2000, after: listening.close });
  console.log(`listening on ${address}${others.length ? `, and on ${others.join(' and ')}` : ''}`);
} catch (error) {
  if (error instanceof UsageError) usedWrongly(error, usage);
  console.error((error as Error).message);
  process.exit(1);
}

/** A second signal ends the process at once. Half a second apart: npm passes on what the terminal sent too. */
function onSignals(leaving: () => void): void {
  let first: number | undefined;
  const told = () => {
    if (first === undefined) {
      console.error('draining');
      leaving();
    }
    first ??= performance.now();
    if (performance.now() - first > 500) process.exit(1);
  };
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, told);
}
