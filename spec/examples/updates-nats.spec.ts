import { credentials, Metadata, makeClientConstructor, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { service as health } from 'grpc-health-check';
import { streamservice } from '../../examples/protos.ts';
import type { Update__Output } from '../../proto/generated/streamservice/Update.ts';
import { watch } from '../support/examples.ts';
import { until } from '../support/harness.ts';
import { type NatsServer, nats, startNats, stopNats } from '../support/nats.ts';
import { killPrograms, Program, type Serving, serveExamples, tsx } from '../support/program.ts';

describe(`examples: SubscribeToUpdates of several servers on ${nats}`, function () {
  this.timeout(60_000);
  let server: NatsServer;
  let env: NodeJS.ProcessEnv;

  before(async function () {
    server = await startNats(this);
    env = { NATS_URL: server.url };
  });
  afterEach(() => killPrograms());
  after(stopNats);

  const subscribe = ({ address }: Serving, topics: string[], after?: string) => {
    const client = new streamservice.StreamService(address, credentials.createInsecure());
    const metadata = new Metadata();
    if (after !== undefined) metadata.set('last-event-id', after);
    const watched = watch<Update__Output>(client.subscribeToUpdates({ topics }, metadata));
    return { ...watched, leave: () => client.close() };
  };
  const numbers = (messages: Update__Output[]) => messages.map(({ sequence }) => Number(sequence));

  it('gives the same updates with the same numbers on each, and goes on at another after kill -9', async () => {
    const [one, other] = await Promise.all([
      serveExamples(['--speed', '20'], env),
      serveExamples(['--speed', '20'], env),
    ]);
    const here = subscribe(one, ['orders', 'alerts']);
    const there = subscribe(other, ['orders', 'alerts']);
    await until('both are served', () => here.messages.length > 5 && there.messages.length > 5, 10_000);
    one.destroy();
    expect((await here.ended).code).to.equal(status.UNAVAILABLE);
    const seen = numbers(here.messages);
    const back = subscribe(other, ['orders', 'alerts'], String(seen.at(-1)));
    await until('it goes on', () => back.messages.length > 10, 10_000);
    const gone = [...seen, ...numbers(back.messages)];
    const stayed = numbers(there.messages);
    const from = Math.max(gone[0] ?? 0, stayed[0] ?? 0);
    const to = Math.min(gone.at(-1) ?? 0, stayed.at(-1) ?? 0);
    const both = [gone, stayed].map(list => list.filter(number => number >= from && number <= to));
    expect(both[0]).to.deep.equal(both[1]).and.have.length.above(5);
    const [first] = back.messages;
    expect(first?.metadata).to.deep.equal({ source: 'system' });
    expect(first?.message).to.equal(`Update from ${first?.topic}`);
    const lost = await subscribe(other, ['orders'], '1').ended;
    expect(lost.code).to.equal(status.OUT_OF_RANGE);
    for (const { leave } of [here, there, back]) leave();
    other.kill('SIGTERM');
    expect(await other.ended).to.include({ code: 0 });
  });

  it('does not claim to serve while NATS is away', async () => {
    const serving = await serveExamples([], env);
    const Health = makeClientConstructor(health, 'Health');
    const client = new Health(serving.address, credentials.createInsecure()) as any;
    const seen: string[] = [];
    const watching = client.watch({ service: 'streamservice.StreamService' });
    watching.on('data', ({ status }: { status: string }) => seen.push(status)).on('error', () => {});
    await until('it serves', () => seen.length === 1, 5000);
    await server.down();
    await until('it is said', () => seen.length === 2, 15_000);
    await server.up();
    await until('it serves again', () => seen.length === 3, 15_000);
    expect(seen).to.deep.equal(['SERVING', 'NOT_SERVING', 'SERVING']);
    client.close();
  });

  it('says in a line that NATS is not there, with its address and without the password', async () => {
    const { code, stderr } = await new Program(tsx('examples/serve.ts', '--port', '0'), {
      NATS_URL: 'nats://me:secret@127.0.0.1:1',
    }).ended;
    expect(code).to.equal(1);
    expect(stderr).to.match(/^cannot reach NATS at 127\.0\.0\.1:1: .*refused.*\n$/i);
  });
});
