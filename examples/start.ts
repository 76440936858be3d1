/** The tour: serves everything on a free port, runs each client against it, and shuts down by draining. */
import { drain } from 'leat';
import { clients, services, showpieces } from './examples.ts';
import { read, runOf } from './flags.ts';
import { listen } from './server.ts';

const print = (line: string) => console.log(line);
const log = (line: string) => console.log(`    [server] ${line}`);

const { server, address, close } = await listen(services, '127.0.0.1', [0], { speed: 1, log });
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
