import { createServer } from 'node:http';
import { type Client, Program } from './check.ts';

const quiet = { DD_INSTRUMENTATION_TELEMETRY_ENABLED: 'false', DD_REMOTE_CONFIGURATION_ENABLED: 'false' };

/** Runs a program under dd-trace, and answers what it sent to its agent, as text. */
export async function traced(file: string, client: Client, calls: () => Promise<void>): Promise<string> {
  const bodies: Buffer[] = [];
  const agent = createServer((request, response) => {
    request.on('data', chunk => /traces/.test(String(request.url)) && bodies.push(chunk));
    request.on('end', () => response.end('{}'));
  });
  await new Promise<void>(resolve => agent.listen(0, '127.0.0.1', resolve));
  const { port } = agent.address() as { port: number };
  const program = new Program(['--import', 'dd-trace/initialize.mjs', file], {
    ...quiet,
    DD_TRACE_AGENT_URL: `http://127.0.0.1:${port}`,
  });
  await client.ready();
  await calls();
  await new Promise(resolve => setTimeout(resolve, 500));
  await program.stop();
  agent.close();
  return Buffer.concat(bodies).toString('latin1');
}

export function count(text: string, pattern: RegExp): number {
  return [...text.matchAll(pattern)].length;
}
