import { ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { interceptor, type Middleware, wrap } from '../../lib/index.ts';
import { definition, type Handler, quiet, start, stopAll, until } from '../support/harness.ts';
import { legacyMounts, serveHandler } from '../support/legacy.ts';
import { narrow } from '../support/lifecycle.ts';
import { settled, watcher } from '../support/observe.ts';
import { stalledPeer } from '../support/peer.ts';

describe('what a handler does too late', () => {
  afterEach(stopAll);

  for (const on of legacyMounts) describe(`under ${on}`, () => absorbs(on));
});

function absorbs(on: (typeof legacyMounts)[number]): void {
  const failure = Object.assign(new Error('first'), { code: status.ABORTED, details: 'first' });
  const second = Object.assign(new Error('second'), { code: status.DATA_LOSS, details: 'second' });
  const late: Record<string, { handler: Handler; expected: object }> = {
    'a write after the end': {
      handler: call => {
        call.write(1);
        call.end();
        call.write(2);
      },
      expected: { code: 0, messages: [1] },
    },
    'an end after the end': {
      handler: call => {
        call.write(1);
        call.end();
        call.end();
      },
      expected: { code: 0, messages: [1] },
    },
    'an error after the end': {
      handler: call => {
        call.write(1);
        call.end();
        call.emit('error', second);
      },
      expected: { code: 0, messages: [1] },
    },
    'an error after an end that waits for the window': {
      handler: call => {
        for (let i = 1; i < 5; i++) call.write(i);
        call.end();
        call.emit('error', second);
      },
      expected: { code: 0, messages: [1, 2, 3, 4] },
    },
    'a destroy after the end': {
      handler: call => {
        call.write(1);
        call.end();
        call.destroy(second);
      },
      expected: { code: 0, messages: [1] },
    },
    'a write after an error': {
      handler: call => {
        call.write(1);
        call.emit('error', failure);
        call.write(2);
      },
      expected: { code: 10, messages: [1] },
    },
    'an end after an error': {
      handler: call => {
        call.write(1);
        call.emit('error', failure);
        call.end();
      },
      expected: { code: 10, messages: [1] },
    },
    'an error after an error': {
      handler: call => {
        call.write(1);
        call.emit('error', failure);
        call.emit('error', second);
      },
      expected: { code: 10, messages: [1] },
    },
    'all of them, turns later': {
      handler: call => {
        call.write(1);
        call.end();
        setImmediate(() => {
          call.write(2);
          call.end();
          call.emit('error', second);
          setImmediate(() => call.destroy(second));
        });
      },
      expected: { code: 0, messages: [1] },
    },
  };
  for (const [what, { handler, expected }] of Object.entries(late)) {
    it(`S15 absorbs ${what}: the client reads the first outcome`, async () => {
      const seen = watcher();
      // Under an interceptor the Writable above is that of grpc-js, which loses an end that has to wait.
      const window = on === 'wrap' ? [narrow] : [];
      const server = await serveHandler(on, handler, [...window, seen.middleware]);
      const { code, messages } = await server.call({}, { deadline: Date.now() + 1000 });
      expect({ code, messages }).to.deep.equal(expected);
      await settled();
      expect(seen.outcomes).to.have.length(1);
    });
  }

  it('S15 absorbs what a handler says after the cancel', async () => {
    const seen = watcher();
    const log: string[] = [];
    const server = await serveHandler(
      on,
      call => {
        call.write(1);
        call.on('cancelled', () => {
          call.write(2);
          call.emit('error', second);
          call.end();
          setImmediate(() => {
            call.write(3);
            call.emit('error', second);
            log.push('done');
          });
        });
      },
      [seen.middleware],
    );
    const calling = server.open();
    calling.stream.once('data', () => calling.cancel());
    await until('the handler is done', () => log.length > 0);
    await settled();
    expect(seen.messages).to.deep.equal([1]);
    expect(seen.outcomes.map(({ reason }) => reason)).to.deep.equal(['cancelled']);
  });

  it('S12 tells a handler that waits for `drain` that the call is over', async () => {
    const log: string[] = [];
    const seen = watcher();
    const server = await serveHandler(
      on,
      async call => {
        call.on('cancelled', () => log.push('cancelled'));
        while (!call.cancelled && call.write(1));
        const waited = new Promise(resolve => call.once('drain', resolve)).then(() => log.push('drain'));
        if (on === 'wrap') await waited;
      },
      [narrow, seen.middleware],
    );
    const exchange = stalledPeer(server.port).open();
    await until('the window is full', () => seen.messages.length > 0);
    await settled();
    let afterTwoTurns: string[] | undefined;
    seen.call.signal.addEventListener('abort', async () => {
      await settled(2);
      afterTwoTurns = [...log];
    });
    exchange.reset();
    await until('two turns have passed', () => afterTwoTurns !== undefined);
    expect(afterTwoTurns).to.deep.equal(on === 'wrap' ? ['cancelled', 'drain'] : ['cancelled']);
  });

  it('S13 tells a handler whose message could not be sent that the call is over', async () => {
    const log: string[] = [];
    const server = await serveHandler(
      on,
      call => {
        call.on('cancelled', () => log.push('cancelled'));
        call.write({ big: 1n });
      },
      [],
    );
    const { code } = await server.call();
    expect(code).to.equal(status.INTERNAL);
    await until('the handler was told', () => log.length > 0);
    await settled();
    expect(log).to.deep.equal(['cancelled']);
  });

  it('S15 sends the status of a layer when a slow interceptor still has a message', async () => {
    const late: ServerInterceptor = (_method, call) =>
      new ServerInterceptingCall(call, {
        sendMessage: (message, next) => void setTimeout(() => next(message), 5),
      });
    const enough: Middleware = (call, next) => ({
      message(message) {
        next.message(message);
        if (message === 2) call.end({ code: 8, details: 'enough', reason: 'limit' });
      },
    });
    const handler: Handler = call => {
      call.write(1);
      call.write(2);
      call.write(3);
    };
    const list = [quiet, enough];
    const server = await start(
      given => given.addService(definition, { stream: on === 'wrap' ? wrap(handler, ...list) : handler }),
      { interceptors: on === 'wrap' ? [late] : [late, interceptor(...list)] },
    );
    const { code, messages } = await server.call({}, { deadline: Date.now() + 1000 });
    expect({ code, messages }).to.deep.equal({ code: 8, messages: [1, 2] });
  });
}
