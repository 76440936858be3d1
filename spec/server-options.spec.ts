import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect } from 'chai';
import { type Call, interceptor, mount, serverOptions } from '../lib/index.ts';
import { definition, start, stopAll, until } from './support/harness.ts';
import { rawCall } from './support/raw.ts';

const require = createRequire(import.meta.url);
const grpc = require.resolve('@grpc/grpc-js').replace(/index\.js$/, '');

describe('serverOptions()', () => {
  afterEach(stopAll);

  it('L9 replaces nothing that is given', () => {
    const interceptors = [interceptor()];
    const given = { 'grpc.keepalive_time_ms': 5, 'grpc.max_concurrent_streams': 1e6, interceptors };
    expect(serverOptions(given)).to.deep.equal({ ...serverOptions(), ...given });
    expect(serverOptions({ 'grpc.keepalive_time_ms': undefined as never })).to.deep.equal(serverOptions());
  });

  it('knows what grpc-js reads, and nothing else', () => {
    const names = ['server.js', 'server-interceptors.js'].flatMap(file =>
      [...readFileSync(`${grpc}${file}`, 'utf8').matchAll(/'(grpc[\w-]*\.\w+)'/g)].map(
        ([, name]) => name as string,
      ),
    );
    expect(names).to.include.members(Object.keys(serverOptions()));
    for (const name of names) expect(serverOptions({ [name]: 1 })).to.include({ [name]: 1 });
    for (const name of ['grpc.keepalive_tme_ms', 'maxStreams', 'grpc.initial_reconnect_backoff_ms'])
      expect(() => serverOptions({ [name]: 1 })).to.throw(TypeError, `got \`${name}\``);
  });

  it('ends the streams of a connection that answers no more', async () => {
    let ended: unknown;
    let lose = () => {};
    const running = await start(
      server =>
        mount(server, definition, {
          async *stream(_request: unknown, { signal }: Call) {
            yield 1;
            await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()));
            ended = signal.reason;
          },
        }),
      serverOptions({ 'grpc.keepalive_time_ms': 20, 'grpc.keepalive_timeout_ms': 20 }),
    );
    const between = createServer(near => {
      const far = connect(running.port, '127.0.0.1');
      near.pipe(far).pipe(near);
      near.on('error', () => far.destroy());
      far.on('close', () => near.destroy());
      // The network is gone, and nobody said so: no answer to a ping comes through.
      lose = () => near.unpipe(far);
    });
    await new Promise<void>(resolve => between.listen(0, '127.0.0.1', resolve));
    const { socket, stream } = rawCall((between.address() as AddressInfo).port);
    await new Promise(resolve => stream.once('response', resolve));
    lose();
    await until('its stream has ended', () => ended !== undefined);
    expect(String(ended)).to.include('connection lost');
    socket.destroy();
    between.close();
  });
});
