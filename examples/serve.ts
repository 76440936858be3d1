/** Serves all examples until SIGINT or SIGTERM: `npm run serve -- [--port N] [--host HOST] [--speed N]`. */
import { drainOn } from 'leat';
import { services } from './examples.ts';
import { numberOf, read, UsageError } from './flags.ts';
import { listen } from './server.ts';

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
    values.port === undefined ? new Set(services.map(({ port }) => port)) : [numberOf(values, 'port')];
  const log = (line: string) => console.error(line);
  const { server, address, others, close } = await listen(services, String(values.host), [...ports], {
    speed,
    log,
  });
  drainOn(server, { graceMs: 2000, after: close });
  console.log(`listening on ${address}${others.length ? `, and on ${others.join(' and ')}` : ''}`);
} catch (error) {
  console.error((error as Error).message);
  if (!(error instanceof UsageError)) process.exit(1);
  console.error('usage: npm run serve -- [--port N] [--host HOST] [--speed N]');
  process.exit(2);
}
