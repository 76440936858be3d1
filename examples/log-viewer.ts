/** A page that shows a log, and its lines, on one port; the same lines by gRPC on another: `npm run log-viewer`. */
import { readFile } from 'node:fs/promises';
import { Server } from '@grpc/grpc-js';
import { drainOn, mount, serverOptions } from 'leat';
import { errors } from 'leat/errors';
import { web } from 'leat/web';
import { numberOf, portOf, read, UsageError, usedWrongly, wantsHelp } from './flags.ts';
import { LogFile } from './log-file.ts';
import { Pages } from './log-viewer/pages.ts';
import { streamservice } from './protos.ts';
import { bind } from './server.ts';
import { type PlacedEntry, tailLogs } from './tail.ts';

const usage =
  'usage: npm run log-viewer -- [--port N] [--host HOST] [--file LOG] [--speed N] [--grpc-port N] [--key FILE --cert FILE]';
const help = `${usage}
  --port N       the port of the page, 8080
  --file LOG     a log of JSON lines, as pino writes them; without it, a log is written for you to see
  --speed N      multiplies the seven lines that are written to that a second
  --grpc-port N  the port of the same service by gRPC; any free one
  --key, --cert  files in PEM, to serve the page over TLS and HTTP/2`;

const args = process.argv.slice(2);
if (wantsHelp(args)) {
  console.log(help);
  process.exit(0);
}
try {
  await serve();
} catch (error) {
  if (error instanceof UsageError) usedWrongly(error, usage);
  console.error((error as Error).message);
  process.exit(1);
}

async function serve(): Promise<void> {
  const values = read(
    {
      port: { type: 'string', default: '8080' },
      host: { type: 'string', default: '127.0.0.1' },
      file: { type: 'string' },
      speed: { type: 'string', default: '4' },
      'grpc-port': { type: 'string', default: '0' },
      key: { type: 'string' },
      cert: { type: 'string' },
    },
    args,
  );
  const { host, file, key, cert } = values as Record<string, string | undefined>;
  const [port, grpcPort] = [portOf(values, 'port'), portOf(values, 'grpc-port')];
  const speed = numberOf(values, 'speed', 0.001);
  if ((key === undefined) !== (cert === undefined))
    throw new UsageError('Expected --key and --cert together');
  const tls = key && cert ? { key: await readFile(key), cert: await readFile(cert) } : undefined;

  const server = new Server(serverOptions());
  const browser = web({ token: ({ position }: PlacedEntry) => position, retryMs: 1000 });
  const pages = new Pages(browser, tls);
  const log = file === undefined ? new LogFile(40) : undefined;
  const methods = { tailLogs: tailLogs(file ?? String(log?.path)) };
  mount([server, browser], streamservice.StreamService.service, methods, errors(), pages.known);

  const page = await pages.listen(String(host), port);
  const address = await bind(server, String(host), grpcPort);
  const writing = log?.demo(speed);
  const close = async () => {
    pages.close();
    log?.close();
    await writing;
  };
  drainOn([server, browser], { graceMs: 1000, after: close });
  console.log(`the logs: http${tls ? 's' : ''}://${page}/`);
  console.log(`the same by gRPC: npm run example -- tail --address ${address}`);
}
