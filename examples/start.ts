/** The tour: serves everything on a free port, runs each client against it, and shuts down by draining. */
import { drain } from 'leat';
import { clients, services, showpieces } from './examples.ts';
import { numberOf, read, runOf, UsageError } from './flags.ts';
import { listen } from './server.ts';

const print = (line: string) => console.log(line);
const log = (line: string) => console.log(`    [server] ${line}`);

const { server, address, close } = await listen(services, '127.0.0.1', [0], { speed: speed(), log });
process.once('SIGINT', () => process.exit(130));
print(`listening on ${address}`);
for (const [name, example] of Object.entries({ ...clients, tracing: showpieces.tracing })) {
  if (!example) continue;
  print(`\n=== ${name} ===`);
  await example.show(runOf(address, read(example.flags, []), print));
}
print('\n=== drain ===');
await drain(server, { graceMs: 2000 });
await close();
print('all streams have ended, the server is down');

function speed(): number {
  try {
    const values = read({ speed: { type: 'string', default: '1' } }, process.argv.slice(2));
    return numberOf(values, 'speed', 0.001);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\nusage: npm start -- [--speed N]`);
    process.exit(2);
  }
}
