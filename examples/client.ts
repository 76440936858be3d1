/** Runs one client, or one of the showpieces: `npm run example -- NAME [--address HOST:PORT] [flags]`. */
import { status } from '@grpc/grpc-js';
import { clients, showpieces } from './examples.ts';
import { read, runOf, UsageError, usedWrongly, wantsHelp } from './flags.ts';

const [name = '', ...args] = process.argv.slice(2);
const client = Object.hasOwn(clients, name) ? clients[name] : undefined;
const showpiece = client ?? (Object.hasOwn(showpieces, name) ? showpieces[name] : undefined);

if (wantsHelp(process.argv.slice(2))) {
  console.log(`usage: npm run example -- ${usage()}`);
  process.exit(0);
}
try {
  if (!showpiece) throw new UsageError(name ? `There is no example '${name}'` : 'Which example?');
  const address = { type: 'string', default: `127.0.0.1:${client?.port ?? 0}` } as const;
  const values = read(client ? { ...client.flags, address } : showpiece.flags, args);
  await showpiece.show(runOf(String(values.address), values, line => console.log(line)));
} catch (error) {
  if (error instanceof UsageError) usedWrongly(error, `usage: npm run example -- ${usage()}`);
  const { code, message } = error as { code?: unknown; message: string };
  console.error(code === status.UNAVAILABLE ? `cannot reach the server: ${message}` : message);
  process.exit(1);
}

function usage(): string {
  if (client) return `${name} [--address HOST:PORT] ${client.usage}`;
  if (showpiece) return `${name} ${showpiece.usage}`;
  return `${[...Object.keys(clients), ...Object.keys(showpieces)].join('|')} [flags]`;
}
