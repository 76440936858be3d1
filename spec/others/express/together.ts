import { createServer } from 'node:net';
import { Client, done, Program, same } from './check.ts';

/** Starts what a page shows as a process of its own, and publishes by HTTP what a stream is to get. */
export async function checkTogether(file: string, health: boolean): Promise<void> {
  const port = await freePort();
  const program = new Program([file], { HTTP_PORT: String(port) });
  const client = new Client(String(process.env.ADDRESS));
  await client.ready();
  const stream = client.ask('ListFeatures', [{}]);
  // The subscription is there once the server has the call: what is published before that is not for it.
  const publish = (name: string) =>
    fetch(`http://localhost:${port}/features`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name }),
    });
  const heard = Promise.race([stream.first, new Promise(resolve => setTimeout(resolve, 5000))]);
  let got = false;
  void stream.first.then(() => {
    got = true;
  });
  let answer = await publish('by HTTP');
  while (!got) {
    await new Promise(resolve => setTimeout(resolve, 20));
    if (!got) answer = await publish('by HTTP');
  }
  same('HTTP is answered', answer.status, 202);
  same('a stream has what came by HTTP', ((await heard) as { name: string }).name, 'by HTTP');
  if (health) same('it is healthy', (await fetch(`http://localhost:${port}/healthz`)).status, 200);
  const stopped = program.stop();
  const { code, details } = await stream.told;
  same('the stream is drained', [code, details], [14, 'the server is shutting down']);
  client.close();
  await stopped;
  done();
}

function freePort(): Promise<number> {
  const taker = createServer();
  return new Promise(resolve =>
    taker.listen(0, () => {
      const { port } = taker.address() as { port: number };
      taker.close(() => resolve(port));
    }),
  );
}
