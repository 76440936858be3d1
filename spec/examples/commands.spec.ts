import { connect } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { service as health } from 'grpc-health-check';
import { services } from '../../examples/examples.ts';
import { example, protobuf, StreamServer, streamservice, tutorial } from '../../examples/protos.ts';
import { all, watch } from '../support/examples.ts';
import { until } from '../support/harness.ts';
import { killPrograms, Program, run, served, serveExamples, takePort, tsx } from '../support/program.ts';

const serve = 'examples/serve.ts';
const usage = 'usage: npm run serve -- [--port N] [--host HOST] [--speed N]';
const unavailable = { code: grpc.status.UNAVAILABLE, details: 'the server is shutting down' };

describe('examples: npm run serve', function () {
  this.timeout(20_000);
  const clients = new Set<grpc.Client>();
  const client = <C extends grpc.Client>(Client: new (...args: any[]) => C, address: string): C => {
    const made = new Client(address, grpc.credentials.createInsecure());
    clients.add(made);
    return made;
  };

  afterEach(async () => {
    for (const one of clients) one.close();
    clients.clear();
    await killPrograms();
  });

  it('serves each service on the port of its tutorial too, or says that somebody has it', async () => {
    const server = new Program(tsx(serve, '--speed', '100'));
    const ready = await server.line(/^listening on .*\n$/).catch(() => undefined);
    if (!ready) {
      const { stderr } = await server.ended;
      const takers = await Promise.all(services.map(({ port }) => takePort(port)));
      for (const taker of takers) await taker?.giveBack();
      expect(stderr).to.contain('EADDRINUSE');
      if (!takers.includes(undefined)) throw new Error(stderr);
      return;
    }
    const numbers = client(tutorial.NumberService, '127.0.0.1:50051');
    expect((await all(numbers.listNumbers({ max: 2 }))).messages).to.have.length(2);
    const logs = client(example.LogService, '127.0.0.1:50051');
    expect((await all(logs.getLogs({}))).messages).to.have.length(5);
    const stream = client(streamservice.StreamService, '127.0.0.1:50051');
    expect((await all(stream.tailLogs({ lines: 3 }))).messages).to.have.length(3);
    const fetch = client(protobuf.StreamService, '127.0.0.1:50005');
    expect((await all(fetch.fetchResponse({ id: 1 }))).messages).to.have.length(5);
    const values = client(StreamServer, '127.0.0.1:8000');
    expect((await all(values.listValue({ data: '' }))).messages).to.have.length(5);
  });

  it('says in one line that its port is taken', async () => {
    const taken = await takePort();
    const exit = await run(serve, '--port', String(taken?.port));
    await taken?.giveBack();
    expect(exit).to.deep.equal({
      code: 1,
      signal: null,
      stdout: '',
      stderr: `cannot listen on 127.0.0.1:${taken?.port}: EADDRINUSE: address already in use 127.0.0.1:${taken?.port}\n`,
    });
  });

  const mistakes: Record<string, string> = {
    '--colour': "Unknown option '--colour'",
    '--port=65536': "Expected --port to be a port from 0 to 65535, got '65536'",
    '--speed=0': "Expected --speed to be a number from 0.001 up, got '0'",
  };
  it('answers flags it cannot follow with its usage', async () => {
    const exits = await Promise.all(
      Object.keys(mistakes).map(async flag => [flag, await run(serve, flag)] as const),
    );
    const expected = Object.entries(mistakes).map(([flag, what]) => {
      return [flag, { code: 2, signal: null, stdout: '', stderr: `${what}\n${usage}\n` }];
    });
    expect(exits).to.deep.equal(expected);
  });

  it('says how it is used, and how the others are, when asked', async () => {
    const asked = [
      [serve, '--help'],
      ['examples/start.ts', '-h'],
      ['examples/client.ts', 'numbers', '--help'],
      ['examples/scale-out.ts', '--help'],
    ] as const;
    const ran = await Promise.all(asked.map(([program, ...args]) => run(program, ...args)));
    for (const [i, { code, stderr, stdout }] of ran.entries()) {
      const program = asked[i]?.[0];
      expect({ code, stderr }, program).to.deep.equal({ code: 0, stderr: '' });
      expect(stdout, program).to.match(/^usage: npm (start|run (serve|example|scale-out)) -- /);
    }
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    it(`drains on ${signal}: streams get their end, and it exits with 0`, async () => {
      const server = await serveExamples(['--speed', '20']);
      const logs = client(example.LogService, server.address);
      const stream = client(streamservice.StreamService, server.address);
      const Health = grpc.makeClientConstructor(health, 'Health');
      const watching = client(Health, server.address) as any;
      const calls = [
        watch(logs.streamLogs({})),
        watch(stream.subscribeToUpdates({ topics: ['orders'] })),
        watch(stream.tailLogs({ follow: true, lines: 1 })),
      ];
      const ofOthers = watch<any>(watching.watch({ service: '' }));
      await Promise.all(
        [...calls, ofOthers].map(call => new Promise(resolve => call.stream.once('data', resolve))),
      );

      server.kill(signal);
      const exit = await server.ended;
      expect(exit).to.deep.equal({
        code: 0,
        signal: null,
        stdout: `listening on ${server.address}\n`,
        stderr: 'draining\nthe feeder stopped\n',
      });
      for (const call of calls) {
        const { code, details, trailer } = await call.ended;
        expect({ code, details }).to.deep.equal(unavailable);
        expect(trailer.get('grpc-retry-pushback-ms')).to.deep.equal(['0']);
      }
      const { messages, code } = await ofOthers.ended;
      expect(messages.map(({ status }) => status)).to.deep.equal(['SERVING', 'NOT_SERVING']);
      expect(code).to.not.equal(grpc.status.OK);
    });

  it('exits also while a client is connected that never closes', async () => {
    const server = await serveExamples(['--speed', '20']);
    const { port } = new URL(`http://${server.address}`);
    const gone = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true });
    gone.on('error', () => {});
    const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    gone.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), settings]));
    await new Promise(resolve => gone.once('data', resolve));
    server.kill('SIGTERM');
    expect((await server.ended).code).to.equal(0);
    gone.destroy();
  });

  it('drains when npm is told to stop', async () => {
    const server = await served(new Program(['npm', 'run', '--silent', 'serve', '--', '--port', '0']));
    const logs = client(example.LogService, server.address);
    const call = watch(logs.streamLogs({}));
    await new Promise(resolve => call.stream.once('data', resolve));
    server.kill('SIGTERM');
    const { code, details } = await call.ended;
    expect({ code, details }).to.deep.equal(unavailable);
    expect(await server.ended).to.include({ code: 0, signal: null });
  });

  it('gives up at a second signal', async () => {
    // A database that never answers: what a job has left in it cannot be removed.
    const hung = await takePort();
    const DATABASE_URL = `postgres://127.0.0.1:${hung?.port}/hung`;
    const server = await serveExamples([], { DATABASE_URL });
    const stream = client(streamservice.StreamService, server.address);
    const call = watch(stream.watchJobProgress({ jobId: 'stuck' }));
    await new Promise(resolve => call.stream.once('data', resolve));
    server.kill('SIGTERM');
    const { code, details } = await call.ended;
    expect({ code, details }).to.deep.equal(unavailable);

    // What comes sooner may be the same signal, passed on by npm.
    server.kill('SIGTERM');
    const since = performance.now();
    await until('half a second has gone', () => performance.now() - since > 500);
    server.kill('SIGTERM');
    expect(await server.ended).to.include({ code: 1, signal: null });
    await hung?.giveBack();
  });
});
