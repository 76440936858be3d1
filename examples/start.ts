/** The tour: serves everything on a free port, runs each client against it, and shuts down by draining. */
import { drain } from 'leat';
import { sleep } from 'leat/sources';
import { clients, services, showpieces } from './examples.ts';
import { type Flags, numberOf, read, runOf, usedWrongly, wantsHelp } from './flags.ts';
import { listen } from './server.ts';
import { bold, dim, progressTo, sides } from './terminal.ts';

/** What to look at, and the flags that keep it short. */
const stops: Readonly<Record<string, readonly [look: string, ...args: string[]]>> = {
  numbers: ['a generator is the whole service', '--max', '3'],
  fetch: ['five slow answers at once, each sent when it is there'],
  logs: [
    'headers before the first message, a checksum after the last; then a live feed that is left',
    '--follow',
    '2',
  ],
  updates: ['one feed for all subscribers, each with a number to resume after', '--count', '3'],
  query: ['10,000 rows through a cursor: a slow client would slow the query down'],
  job: ['whoever watches late sees the latest step, not all of them'],
  tail: ['a file that is written, followed and filtered', '--lines', '2', '--follow', '2'],
  values: ['the server stops when the client leaves, and waits when it pauses'],
  'route-guide': ['all four kinds of methods, of the service that every gRPC user knows'],
  tracing: ['one span for the stream, below its client and above what the source does'],
};

const usage = 'usage: npm start -- [--speed N] [--raw]';
const flags: Flags = { speed: { type: 'string', default: '1' }, raw: { type: 'boolean', default: false } };

const print = (line: string) => console.log(line);
const { client, server: log, end: flush } = sides(print);

const args = process.argv.slice(2);
if (wantsHelp(args)) {
  print(
    `${usage}\n  --speed N  divides the pauses of the services\n  --raw      prints spans as OpenTelemetry has them`,
  );
  process.exit(0);
}
const { speed, raw } = chosen();
const { server, address, close } = await listen(services, '127.0.0.1', [0], { speed, log });
process.once('SIGINT', () => process.exit(130));
print(`listening on ${address}`);

const shown = { ...clients, tracing: showpieces.tracing };
for (const [name, example] of Object.entries(shown)) {
  if (!example) continue;
  const [look = '', ...rest] = stops[name] ?? [];
  heading(name, look);
  const more = raw && name === 'tracing' ? ['--raw'] : [];
  const values = read(example.flags, [...rest, ...more]);
  const progress = progressTo(print);
  const printed = (line: string) => {
    progress.end();
    client(line);
  };
  await example.show({ ...runOf(address, values, printed), progress: progress.line });
  progress.end();
  // A server hears a little later that its client has left.
  await sleep(50);
  flush();
}

heading('drain', 'a server that is told to stop ends its streams, and then itself');
await drain(server, { graceMs: 2000 });
await close();
print('all streams have ended, the server is down');

heading('next', 'what to try');
for (const line of [
  'npm run serve                                 the same services on the ports of their tutorials',
  'npm run example -- updates --topics orders    a client of one of them, and --help for its flags',
  'npm run example -- robust                     a client that survives the loss of its server',
  'npm run example -- wrap                       a handler as it is, before and after `wrap`',
  'README.md                                     a first stream of your own',
])
  print(line);

function heading(name: string, look: string): void {
  print(`\n${bold(`=== ${name} ===`)}${look && dim(` ${look}`)}`);
}

function chosen(): { speed: number; raw: boolean } {
  try {
    const values = read(flags, args);
    return { speed: numberOf(values, 'speed', 0.001), raw: values.raw === true };
  } catch (error) {
    return usedWrongly(error, usage);
  }
}
