import { once } from 'node:events';
import { constants } from 'node:http2';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { drain, interceptor, type Middleware, mount, produce, wrap } from '../../lib/index.ts';
import { limits } from '../../middleware/limits.ts';
import { definition, mountNames, quiet, type Running, start, stopAll } from '../support/harness.ts';
import { type RawCall, REQUEST, rawOpen, rawStatus } from '../support/raw.ts';

const HUGE = Buffer.from([0, 0x7f, 0xff, 0xff, 0xff]);

/** Every mount, and the interceptor above each of them. */
const places = [...mountNames, 'interceptor over produce', 'interceptor over wrap', 'interceptor over mount'];

for (const on of places)
  describe(`a call that is over before it starts, on ${on}`, () => {
    afterEach(stopAll);

    it('does not start when grpc-js answered it by itself: a second message is too large', async () => {
      const { server, log, isServed } = await listening(on);
      const { session, stream } = rawOpen(server.port);
      const answer = rawStatus(stream);
      stream.write(REQUEST);
      stream.write(HUGE);
      expect(await answer).to.equal(status.RESOURCE_EXHAUSTED);
      stream.end();
      await passed(session);
      expect(log).to.deep.equal([]);
      await isServed();
    });

    it('does not start when its deadline passed before the request was complete', async () => {
      const { server, log, isServed } = await listening(on);
      const { session, stream } = rawOpen(server.port, { 'grpc-timeout': '20m' });
      const answer = rawStatus(stream);
      stream.write(REQUEST);
      expect(await answer).to.equal(status.DEADLINE_EXCEEDED);
      stream.end();
      await passed(session);
      expect(log).to.deep.equal([]);
      await isServed();
    });

    it('does not start when the second message comes with the end of the request', async () => {
      const { server, log, isServed } = await listening(on);
      const { session, stream } = rawOpen(server.port);
      const answer = rawStatus(stream);
      stream.end(Buffer.concat([REQUEST, REQUEST]));
      expect(await answer).to.equal(status.UNIMPLEMENTED);
      await passed(session);
      expect(log).to.deep.equal([]);
      await isServed();
    });

    it('does not start without a request', async () => {
      const { server, log, isServed } = await listening(on);
      const { session, stream } = rawOpen(server.port);
      const answer = rawStatus(stream);
      stream.end();
      expect(await answer).to.equal(status.UNIMPLEMENTED);
      await passed(session);
      expect(log).to.deep.equal([]);
      await isServed();
    });

    it('does not start when its client resets it before the request is complete', async () => {
      // Node's client ends its request before it resets it: a whole message would be a whole request.
      for (const sent of [Buffer.alloc(0), REQUEST.subarray(0, 3)]) {
        const { server, log, isServed } = await listening(on);
        const { session, stream } = rawOpen(server.port);
        if (sent.length > 0) stream.write(sent);
        await passed(session);
        stream.close(constants.NGHTTP2_CANCEL);
        await passed(session);
        expect(log).to.deep.equal([]);
        await isServed();
      }
    });

    it('does not start when its client is gone before the request is complete', async () => {
      const { server, isServed } = await listening(on);
      const { socket, stream } = rawOpen(server.port);
      stream.write(REQUEST);
      await new Promise(resolve => stream.once('ready', resolve));
      socket.destroy();
      await isServed();
    });

    it('has nothing for a drain to wait for', async () => {
      const { server } = await listening(on);
      const { session, stream } = rawOpen(server.port);
      const answer = rawStatus(stream);
      stream.write(REQUEST);
      stream.write(HUGE);
      await answer;
      stream.end();
      await passed(session);
      session.destroy();
      const before = performance.now();
      await drain(server.server, { graceMs: 60_000 });
      expect(performance.now() - before).to.be.below(30_000);
    });
  });

/** Serves a method that notes all it does, and has room for one call. */
async function listening(
  on: string,
): Promise<{ server: Running; log: string[]; isServed: () => Promise<void> }> {
  const log: string[] = [];
  const noting: Middleware = () => {
    log.push('layer');
    return { end: () => void log.push('end') };
  };
  const list = [quiet, limits({ maxStreams: 1 }), noting];
  const source = () => {
    log.push('start');
    return [];
  };
  const handler = (stream: { end(): void }) => {
    log.push('start');
    stream.end();
  };
  const [above, below = above] = on.split(' over ') as [string, string?];
  const ours = above === 'interceptor' && below !== 'interceptor' ? [] : list;
  const server = await start(
    one => {
      if (below === 'mount') mount(one, definition, { stream: source }, ...ours);
      else if (below === 'produce') one.addService(definition, { stream: produce(source, ...ours) });
      else one.addService(definition, { stream: below === 'wrap' ? wrap(handler, ...ours) : handler });
    },
    above === 'interceptor' ? { interceptors: [interceptor(...list)] } : {},
  );
  return {
    server,
    log,
    async isServed() {
      let code: number | undefined;
      for (let tries = 0; code !== status.OK && tries < 1000; tries++) ({ code } = await server.call());
      expect(code, 'the next call').to.equal(status.OK);
      expect(log, 'the next call').to.deep.equal(['layer', 'start', 'end']);
      log.length = 0;
    },
  };
}

/** All that the client sent before was read by the server. */
async function passed(session: RawCall['session']): Promise<void> {
  if (session.connecting) await once(session, 'connect');
  return new Promise((resolve, reject) => session.ping(error => (error ? reject(error) : resolve())));
}
