import { appendFileSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/transport-node';
import { expect } from 'chai';
import { openLogs, ship, tailStored } from '../../examples/tail-nats.ts';
import { closeClients, serveStreams, watch } from '../support/examples.ts';
import { stopAll, until } from '../support/harness.ts';
import { type NatsServer, nats, startNats, stopNats } from '../support/nats.ts';

describe(`docs/tail-at-scale.md, on ${nats}`, function () {
  this.timeout(30_000);
  let server: NatsServer;
  let directory: string;
  const connections: NatsConnection[] = [];
  const agents: { stop: AbortController; ended: Promise<unknown> }[] = [];

  before(async function () {
    server = await startNats(this);
    directory = mkdtempSync(join(tmpdir(), 'tail-nats-'));
  });
  after(async () => {
    for (const { stop, ended } of agents) {
      stop.abort();
      await ended;
    }
    closeClients();
    await stopAll();
    for (const nc of connections) await nc.close();
    await stopNats();
    if (directory) rmSync(directory, { recursive: true });
  });

  const connect = async () => {
    const nc = await server.connect();
    connections.push(nc);
    return nc;
  };
  const write = (service: string, from: number, to: number) => {
    for (let n = from; n < to; n++)
      appendFileSync(
        join(directory, service),
        `${JSON.stringify({ level: 'info', time: 1_700_000_000_000 + n, service, msg: `${service} ${n}` })}\n`,
      );
  };
  const texts = (messages: { message: string }[]) => messages.map(({ message }) => message);
  const numbered = (service: string, from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => `${service} ${from + i}`);

  it('every server has the logs of every agent, once and in order, history and what comes', async () => {
    const servers = [];
    for (let n = 0; n < 2; n++) {
      const logs = await openLogs(await connect());
      servers.push(await serveStreams({ tailLogs: tailStored(logs) }));
    }
    for (const service of ['api', 'worker']) {
      const stop = new AbortController();
      write(service, 0, 1);
      const ended = ship(join(directory, service), await connect(), `logs.${service}`, stop.signal).catch(
        () => {},
      );
      agents.push({ stop, ended });
    }
    const [one, other] = servers as [(typeof servers)[0], (typeof servers)[0]];
    const all = watch(one.tailLogs({ follow: true }));
    await new Promise<void>(resolve => all.stream.once('metadata', () => resolve()));
    let api = 1;
    let worker = 1;
    // An agent begins at the end of its log: what is written before it has looked is not shipped.
    await until(
      'both agents ship',
      () => {
        write('api', api, ++api);
        write('worker', worker, ++worker);
        return ['api', 'worker'].every(name => texts(all.messages).some(text => text.startsWith(name)));
      },
      10_000,
    );
    renameSync(join(directory, 'api'), join(directory, 'api.1'));
    write('api', api, api + 50);
    api += 50;
    const last = () =>
      texts(all.messages)
        .filter(text => text.startsWith('api'))
        .at(-1);
    await until('all of it is here', () => last() === `api ${api - 1}`, 10_000);
    const shipped = texts(all.messages).filter(text => text.startsWith('api'));
    expect(shipped).to.deep.equal(numbered('api', api - shipped.length, api));

    const late = watch(other.tailLogs({ serviceName: 'api', logLevel: 'info', lines: 10, follow: true }));
    await until('history is here', () => late.messages.length >= 10, 10_000);
    write('worker', worker, ++worker);
    write('api', api, ++api);
    await until('the next one is here', () => late.messages.length >= 11, 10_000);
    expect(texts(late.messages)).to.deep.equal(numbered('api', api - 11, api));
  });

  it('shows what is run here', () => {
    const code = readFileSync(new URL('../../examples/tail-nats.ts', import.meta.url), 'utf8');
    const page = readFileSync(new URL('../../docs/tail-at-scale.md', import.meta.url), 'utf8');
    const shown = [...page.matchAll(/```ts\n(.*?)```/gs)].map(([, block]) => String(block).trim());
    expect(shown).to.have.length.above(1);
    for (const block of shown) expect(code).to.include(block);
  });
});
