import { ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { drain, type Middleware, StatusError } from '../../lib/index.ts';
import {
  type AnySource,
  deferred,
  type MountName,
  mountNames,
  type Running,
  serve,
  stopAll,
  until,
} from '../support/harness.ts';
import { hearing, messageOf, parked, serveOver } from '../support/lifecycle.ts';
import { hasCall, type Seen, settled, watcher } from '../support/observe.ts';
import { Peer } from '../support/peer.ts';

describe('a source, whatever ends its call', () => {
  afterEach(stopAll);

  for (const on of mountNames) describe(`on ${on}`, () => cleansUp(on));
});

function cleansUp(on: MountName): void {
  /** The ways in which a call can end, each with how it comes about and what everybody hears. */
  const ways: Record<
    string,
    {
      source?: (log: string[]) => AnySource;
      layer?: Middleware;
      below?: ServerInterceptor[];
      limit?: number;
      act?: (given: { server: Running; peer: Peer; seen: Seen; stop: () => void }) => unknown;
      headers?: Record<string, string>;
      expected: string;
    }
  > = {
    exhaustion: {
      source: log =>
        async function* () {
          try {
            yield 1;
          } finally {
            log.push('finally');
          }
        },
      expected: '0 completed',
    },
    'a throw': {
      source: log =>
        async function* () {
          try {
            yield 1;
            throw new StatusError(status.ABORTED, 'enough');
          } finally {
            log.push('finally');
          }
        },
      expected: '10 error',
    },
    'a cancel by the client': { act: ({ stop }) => stop(), expected: '1 cancelled' },
    'a TCP reset': { act: ({ peer }) => peer.resetTcp(), expected: '1 disconnected' },
    'the end of the session': { act: ({ peer }) => peer.session.destroy(), expected: '1 disconnected' },
    'a deadline': { headers: { 'grpc-timeout': '40m' }, expected: '4 deadline' },
    'a drain': { act: ({ server }) => drain(server.server, { graceMs: 0 }), expected: '14 drain' },
    'a limit': {
      act: ({ seen }) => seen.call.end({ code: 8, details: 'enough', reason: 'limit' }),
      expected: '8 limit',
    },
    'a layer that throws': {
      layer: (_call, next) => ({
        message(message) {
          if (message === 2) throw new StatusError(status.DATA_LOSS, 'torn');
          next.message(message);
        },
      }),
      expected: '15 error',
    },
    'a message that cannot be serialised': {
      source: log =>
        async function* () {
          try {
            yield 1;
            yield { big: 1n };
            yield 3;
          } finally {
            log.push('finally');
          }
        },
      expected: '13 error',
    },
    'a message that is too large': {
      source: log =>
        async function* () {
          try {
            yield 1;
            yield 'x'.repeat(500);
            yield 3;
          } finally {
            log.push('finally');
          }
        },
      limit: 400,
      expected: '8 error',
    },
    'a write that fails': {
      below: [
        (_method, call) => {
          class Failing extends ServerInterceptingCall {
            override sendMessage(): void {
              throw new StatusError(status.UNAVAILABLE, 'no wire');
            }
          }
          return new Failing(call);
        },
      ],
      expected: '14 error',
    },
  };
  for (const [way, given] of Object.entries(ways)) {
    it(`S1 runs \`finally\` once on ${way}`, async () => {
      const log: string[] = [];
      const seen = watcher();
      const source = (given.source ?? parked)(log);
      const layers = [seen.middleware, ...(given.layer ? [given.layer] : [])];
      const limit = given.limit ? { 'grpc.max_send_message_length': given.limit } : {};
      const server = given.below
        ? await serveOver(given.below, on, source, layers)
        : await serve(on, source, layers, limit);
      const peer = new Peer(server.port);
      const exchange = peer.open({}, { headers: given.headers ?? {} });
      if (given.act) {
        await until('two messages came', () => exchange.messages().length === 2);
        await given.act({ server, peer, seen, stop: exchange.reset });
      }
      await until('the call is over', () => seen.outcomes.length > 0);
      await until('finally ran', () => log.length > 0);
      await exchange.closed;
      await settled();
      expect(log).to.deep.equal(['finally']);
      expect(seen.outcomes.map(({ code, reason }) => `${code} ${reason}`)).to.deep.equal([given.expected]);
    });
  }

  it('S1 reports a write that fails once', async () => {
    const errors: unknown[] = [];
    const seen = watcher();
    const failing: ServerInterceptor = (_method, call) => {
      class Failing extends ServerInterceptingCall {
        override sendMessage(): void {
          throw new Error('no wire');
        }
      }
      return new Failing(call);
    };
    const server = await serveOver([failing], on, parked([]), [hearing(errors), seen.middleware]);
    const { code, details } = await server.call();
    await settled();
    expect({ code, details }).to.deep.equal({ code: status.UNKNOWN, details: 'internal error' });
    expect(errors.map(messageOf)).to.deep.equal(['no wire']);
    expect(seen.outcomes).to.have.length(1);
  });

  it('S2 never calls a source whose call was cancelled before it started', async () => {
    const log: string[] = [];
    const seen = watcher();
    const gate = deferred();
    const slow: Middleware = () => ({ start: next => void gate.promise.then(next) });
    const source: AnySource = () => {
      log.push('source');
      return [];
    };
    const server = await serve(on, source, [seen.middleware, slow]);
    const calling = server.open();
    await until('the layers are made', () => seen.outcomes.length === 0 && hasCall(seen));
    calling.cancel();
    await until('the call is over', () => seen.outcomes.length > 0);
    gate.resolve();
    await settled();
    expect(log).to.deep.equal([]);
    expect(seen.outcomes.map(({ reason }) => reason)).to.deep.equal(['cancelled']);
  });

  it('S2 never calls a source whose client left while an interceptor held the request', async () => {
    const log: string[] = [];
    const gate = deferred();
    const late: ServerInterceptor = (_method, call) =>
      new ServerInterceptingCall(call, {
        start: next =>
          next({
            onReceiveHalfClose(half) {
              log.push('held');
              void gate.promise.then(half);
            },
          }),
      });
    const source: AnySource = () => {
      log.push('source');
      return [];
    };
    const server = await serveOver([late], on, source, []);
    const exchange = new Peer(server.port).open();
    await until('the request is held', () => log.length > 0);
    exchange.reset();
    await exchange.closed;
    await settled();
    gate.resolve();
    await settled();
    expect(log).to.deep.equal(['held']);
  });

  it('S18 sends trailers that were set in `finally`', async () => {
    for (const fails of [false, true]) {
      const server = await serve(on, async function* (_request, { trailer }) {
        try {
          yield 1;
          if (fails) throw new StatusError(status.ABORTED, 'enough');
        } finally {
          trailer.set('x-count', '1');
        }
      });
      const reply = await server.call();
      expect(reply.code).to.equal(fails ? status.ABORTED : status.OK);
      expect(reply.trailer.get('x-count')).to.deep.equal(['1']);
    }
  });
}
