/** Runs the client of one example: `npm run example -- NAME [--address HOST:PORT] [flags]`. */
import { status } from '@grpc/grpc-js';
import { examples } from './examples.ts';
import { read, runOf, UsageError } from './flags.ts';

const [name = '', ...args] = process.argv.slice(2);
const example = Object.hasOwn(examples, name) ? examples[name] : undefined;

try {
  if (!example) throw new UsageError(name ? `There is no example '${name}'` : 'Which example?');
  const address = { type: 'string', default: `127.0.0.1:${example.port}` } as const;
  const values = read({ ...example.flags, address }, args);
  await example.show(runOf(String(values.address), values, line => console.log(line)));
} catch (error) {
  if (error instanceof UsageError) {
    const usage = example
      ? `${name} [--address HOST:PORT] ${example.usage}`
      : `${Object.keys(examples).join('|')} [flags]`;
    console.error(`${error.message}\nusage: npm run example -- ${usage}`);
    process.exit(2);
  }
  const { code, message } = error as { code?: unknown; message: string };
  console.error(code === status.UNAVAILABLE ? `cannot reach the server: ${message}` : message);
  process.exit(1);
}
