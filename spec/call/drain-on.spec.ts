import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { drain, drainOn } from '../../lib/index.ts';
import { deferred, serve, stopAll, until } from '../support/harness.ts';
import { Peer, stalledPeer } from '../support/peer.ts';

const script = fileURLToPath(new URL('../support/draining.ts', import.meta.url));

describe('drainOn()', () => {
  afterEach(stopAll);

  it('L6 leaves nothing behind that keeps a process alive, whatever its streams were doing', async function () {
    this.timeout(30_000);
    await leaves(['parked', 'busy', 'idle', 'deaf', 'stalled'], 50);
  });

  it('L6 leaves nothing behind when all streams have ended within a long grace', async function () {
    this.timeout(30_000);
    await leaves(['parked', 'idle'], 3_600_000);
  });

  it('L4 shuts down once what comes after, however often it is told to stop', async () => {
    const server = await serve('mount', async function* () {
      yield 'first';
    });
    let after = 0;
    const undo = drainOn(server.server, { signals: ['SIGUSR2'], graceMs: 50, after: () => ++after });
    for (let times = 0; times < 3; times++) process.emit('SIGUSR2', 'SIGUSR2');
    await drain(server.server);
    await new Promise(resolve => setImmediate(resolve));
    undo();
    expect(after).to.equal(1);
  });

  it('L9 keeps the options it was given when signals ask again, with others', async () => {
    const listening = process.listenerCount('SIGUSR2');
    const finish = deferred();
    const server = await serve('mount', async function* (_request, { signal }) {
      yield 'first';
      await new Promise(resolve => signal.addEventListener('abort', resolve));
      await finish.promise;
      yield 'last';
    });
    drainOn(server.server, { signals: ['SIGUSR2'], graceMs: 0, retryMs: 0, details: 'at once' });
    const calling = server.open();
    await new Promise(resolve => calling.stream.once('data', resolve));
    const drained = drain(server.server, { graceMs: 60_000, retryMs: 7, details: 'moving' });
    for (let times = 0; times < 2; times++) process.emit('SIGUSR2', 'SIGUSR2');
    await new Promise(resolve => setTimeout(resolve, 10));
    finish.resolve();
    const { messages, code, details, trailer } = await calling.reply;
    expect({ messages, code, details }).to.deep.equal({
      messages: ['first', 'last'],
      code: status.UNAVAILABLE,
      details: 'moving',
    });
    expect(trailer.get('grpc-retry-pushback-ms')).to.deep.equal(['7']);
    await drained;
    await until('it does not listen any more', () => process.listenerCount('SIGUSR2') === listening);
  });

  it('has one listener for each signal, however many servers, and none once all are drained by hand', async () => {
    const listening = process.listenerCount('SIGUSR2');
    const servers = await Promise.all(Array.from({ length: 12 }, () => serve('mount', () => [])));
    for (const { server } of servers) drainOn(server, { signals: ['SIGUSR2'], graceMs: 50 });
    expect(process.listenerCount('SIGUSR2')).to.equal(listening + 1);
    await Promise.all(servers.map(({ server }) => drain(server, { graceMs: 50 })));
    await until('it does not listen any more', () => process.listenerCount('SIGUSR2') === listening);
  });

  it('does not listen for a server that was drained before', async () => {
    const listening = process.listenerCount('SIGUSR2');
    const { server } = await serve('mount', () => []);
    await drain(server, { graceMs: 50 });
    drainOn(server, { signals: ['SIGUSR2'] });
    await until('it does not listen any more', () => process.listenerCount('SIGUSR2') === listening);
  });

  it('keeps listening until what comes after is done, so that a second signal does not end the process', async () => {
    const listening = process.listenerCount('SIGUSR2');
    const { server } = await serve('mount', () => []);
    const after = deferred();
    drainOn(server, { signals: ['SIGUSR2'], graceMs: 50, after: () => after.promise });
    process.emit('SIGUSR2', 'SIGUSR2');
    await drain(server);
    await new Promise(resolve => setImmediate(resolve));
    expect(process.listenerCount('SIGUSR2')).to.equal(listening + 1);
    after.resolve();
    await until('it does not listen any more', () => process.listenerCount('SIGUSR2') === listening);
  });

  it('ends the process at a second SIGINT, and not at one that npm passed on of the same press', async function () {
    this.timeout(30_000);
    const child = spawn(process.execPath, ['--import', 'tsx', script, '3600000'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 25_000,
      killSignal: 'SIGKILL',
    });
    const closed = once(child, 'close');
    const [first] = await once(child.stdout, 'data');
    const peer = new Peer(Number.parseInt(String(first), 10));
    const call = peer.open({ way: 'deaf' });
    await until('it is open', () => call.header !== undefined);
    child.kill('SIGINT');
    child.kill('SIGINT');
    await new Promise(resolve => setTimeout(resolve, 200));
    expect(child.exitCode ?? child.signalCode, 'it is draining').to.equal(null);
    child.kill('SIGINT');
    const [, signal] = await closed;
    expect(signal).to.equal('SIGINT');
  });
});

/** Has a process with such streams told to stop, and finds it gone. */
async function leaves(ways: string[], graceMs: number): Promise<void> {
  const child = spawn(process.execPath, ['--import', 'tsx', script, String(graceMs)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 25_000,
    killSignal: 'SIGKILL',
  });
  const closed = once(child, 'close');
  let output = '';
  child.stdout.on('data', chunk => {
    output += chunk;
  });
  await once(child.stdout, 'data');
  const port = Number.parseInt(output, 10);
  const calls = ways.map(way => {
    const peer = way === 'stalled' ? stalledPeer(port) : new Peer(port);
    return { way, call: peer.open({ way }, { headers: { 'grpc-timeout': '1H' } }) };
  });
  await until('all are open', () => calls.every(({ call }) => call.header !== undefined));
  child.kill('SIGTERM');
  expect(await closed).to.deep.equal([0, null]);
  expect(output.split('\n').slice(1)).to.deep.equal(['drained', '']);
  for (const { way, call } of calls) {
    await call.closed;
    // Behind data that is not taken in time no words get through, only the reset.
    if (way === 'busy' || way === 'stalled') continue;
    expect({ way, status: call.trailer?.['grpc-status'] }).to.deep.equal({ way, status: '14' });
  }
}
