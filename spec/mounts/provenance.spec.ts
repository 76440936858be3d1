import {
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServerOptions,
  status,
} from '@grpc/grpc-js';
import { expect } from 'chai';
import {
  configure,
  interceptor,
  key,
  type Middleware,
  mount,
  type Outcome,
  produce,
  StatusError,
  wrap,
} from '../../lib/index.ts';
import { errors } from '../../middleware/errors.ts';
import { definition, type Handler, type Reply, start, stopAll } from '../support/harness.ts';
import { calling, kinds, serveKind, streamsOut } from '../support/kinds.ts';

const DETAILS = 'meant for the client';
const CODES = Array.from({ length: 16 }, (_, index) => (index + 1) as status);

function trailers(): Metadata {
  const metadata = new Metadata();
  metadata.set('x-trailer', 'yes');
  return metadata;
}

const thrown = (code: status, details = DETAILS): never => {
  throw new StatusError(code, details, { metadata: trailers() });
};
const given =
  (code: status, details = DETAILS): Handler =>
  stream =>
    void stream.emit('error', { code, details, metadata: trailers() });

/** Somebody else's, that takes each message and the status with its own hands. */
const foreign: ServerInterceptor = (_method, next) =>
  new ServerInterceptingCall(next, {
    sendStatus: (last, pass) => pass({ ...last }),
  });

/** What a method concludes on each mount, under interceptors of ours and others. */
const mounts: Record<
  string,
  (code: status, list: Middleware[], details?: string) => Parameters<typeof start>[0]
> = {
  produce: (code, list, details) => server =>
    server.addService(definition, { stream: produce(() => thrown(code, details), ...list) }),
  wrap: (code, list, details) => server =>
    server.addService(definition, { stream: wrap(given(code, details), ...list) }),
  'wrap, rejected': (code, list, details) => server =>
    server.addService(definition, { stream: wrap(async () => thrown(code, details), ...list) }),
  'wrap in wrap': (code, list, details) => server =>
    server.addService(definition, {
      stream: wrap(stream => void wrap(given(code, details))(stream), ...list),
    }),
  mount: (code, list, details) => server =>
    mount(server, definition, { stream: () => thrown(code, details) }, ...list),
};

describe('law 13: a status that one mount of ours concluded', () => {
  afterEach(stopAll);
  const hush = configure({ onError: () => {} });

  for (const [name, set] of Object.entries(mounts))
    for (const [above, interceptors] of [
      ['no interceptor', []],
      ['one', [interceptor(hush)]],
      ['two', [interceptor(hush), interceptor(hush)]],
      ["somebody else's", [foreign]],
      ["one, and somebody else's", [foreign, interceptor(hush)]],
      ["two, and somebody else's between", [interceptor(hush), foreign, interceptor(hush)]],
    ] as [string, ServerInterceptor[]][])
      it(`K10 passes the others as it is: ${name} under ${above}`, async () => {
        for (const code of CODES) {
          const server = await start(set(code, [hush]), { interceptors });
          expect(said(await server.call())).to.deep.equal({ code, details: DETAILS, trailer: 'yes' });
          await server.close();
        }
      });

  it('passes also when it reads as what an unknown error leaves as', async () => {
    const reports: unknown[] = [];
    const heard = configure({ onError: error => void reports.push(error) });
    for (const set of Object.values(mounts)) {
      const server = await start(set(status.UNKNOWN, [heard], 'internal error'), {
        interceptors: [interceptor(heard)],
      });
      expect(said(await server.call()).trailer).to.equal('yes');
    }
    expect(reports, 'nobody has to be told of what was meant').to.deep.equal([]);
  });

  it('is told the layers of the others with its reason and what was thrown', async () => {
    const outcomes: Outcome[] = [];
    const listen: Middleware = () => ({ end: outcome => void outcomes.push(outcome) });
    const error = new StatusError(status.ABORTED, DETAILS);
    const server = await start(
      one =>
        mount(one, definition, {
          stream: () => {
            throw error;
          },
        }),
      { interceptors: [interceptor(listen)] },
    );
    await server.call();
    expect(outcomes.map(({ code, reason, cause }) => ({ code, reason, cause }))).to.deep.equal([
      { code: status.ABORTED, reason: 'error', cause: error },
    ]);
  });

  it('is mapped by the rules of an interceptor as by those of its own mount', async () => {
    class Missing extends Error {}
    const server = await start(
      one =>
        mount(
          one,
          definition,
          {
            stream: () => {
              throw new Missing();
            },
          },
          hush,
        ),
      { interceptors: [interceptor(hush, errors({ rules: [[Missing, status.NOT_FOUND]] }))] },
    );
    expect((await server.call()).code).to.equal(status.NOT_FOUND);
  });

  it('hides an unknown error once, and reports it once, whatever is above', async () => {
    const secret = new Error('secret');
    const reports: unknown[] = [];
    const heard = configure({ onError: error => void reports.push(error) });
    const server = await start(
      one =>
        mount(
          one,
          definition,
          {
            stream: () => {
              throw secret;
            },
          },
          heard,
        ),
      { interceptors: [interceptor(heard), interceptor(heard)] },
    );
    const { code, details } = await server.call();
    expect({ code, details }).to.deep.equal({ code: status.UNKNOWN, details: 'internal error' });
    expect(reports).to.deep.equal([secret]);
  });

  it('is that of whoever changed it on its way', async () => {
    const changing: ServerInterceptor = (_method, next) =>
      new ServerInterceptingCall(next, {
        sendStatus: (last, pass) => pass({ ...last, code: status.DATA_LOSS, details: 'changed' }),
      });
    const server = await start(one => mount(one, definition, { stream: () => thrown(status.ABORTED) }), {
      interceptors: [interceptor(), changing],
    });
    expect(said(await server.call())).to.deep.equal({
      code: status.DATA_LOSS,
      details: 'changed',
      trailer: 'yes',
    });
  });
});

describe('K9: what is known of a call', () => {
  afterEach(stopAll);

  const who = key<string>('who');
  const auth: Middleware = call => {
    const [name] = call.metadata.get('x-who');
    if (name !== undefined) call.values.set(who, String(name));
  };
  const named = (name: string) => {
    const metadata = new Metadata();
    metadata.set('x-who', name);
    return metadata;
  };

  /** Gives every call the same metadata. */
  const same = new Metadata();
  const strips: ServerInterceptor = (_method, call) =>
    new ServerInterceptingCall(call, {
      start: next =>
        next({ onReceiveMetadata: (_sent: Metadata, tell: (sent: Metadata) => void) => tell(same) } as never),
    });
  /** Does all that a call does, and shows nothing of it. */
  const hides: ServerInterceptor = (_method, call) => {
    const names = Object.getOwnPropertyNames(ServerInterceptingCall.prototype);
    const pass = (name: string) => [
      name,
      (...args: unknown[]) => Reflect.apply(Reflect.get(call, name), call, args),
    ];
    return Object.fromEntries(names.filter(name => typeof Reflect.get(call, name) === 'function').map(pass));
  };

  const seen = ['ada', 'nobody', 'bob', 'nobody'];
  const unseen = ['nobody', 'nobody', 'nobody', 'nobody'];
  for (const [how, between, expected] of [
    ['nothing lies between', [], seen],
    ['somebody between hides the call', [hides], seen],
    ['all are given the same metadata', [strips], seen],
    ['all are given the same metadata by one that hides the call', [strips, hides], unseen],
  ] as [string, ServerInterceptor[], string[]][])
    for (const below of [true, false])
      it(`is never that of another, when ${how}${below ? ', and ours is below' : ''}`, async () => {
        const told: unknown[] = [];
        const server = await start(
          one =>
            mount(one, definition, {
              stream(_request, { values }) {
                told.push(values.has(who) ? values.get(who) : 'nobody');
                values.set(who, 'the one before');
                return [];
              },
            }),
          { interceptors: below ? [interceptor(auth), ...between] : between },
        );
        for (const metadata of [named('ada'), new Metadata(), named('bob'), new Metadata()])
          await server.call({}, { metadata });
        expect(told).to.deep.equal(below ? expected : unseen);
      });

  it('is not taken from one that was there while others are, whose metadata is the same', async () => {
    const told: unknown[] = [];
    const server = await start(
      one =>
        mount(one, definition, {
          async *stream(_request, { values, metadata }) {
            told.push(values.has(who) ? values.get(who) : 'nobody');
            values.set(who, `one of ${metadata.get('x-who').length}`);
            yield 'first';
            await new Promise(resolve => setTimeout(resolve, 10));
          },
        }),
      { interceptors: [strips, interceptor(auth), hides] },
    );
    await Promise.all([1, 2, 3].map(() => server.call()));
    expect(told).to.deep.equal(['nobody', 'nobody', 'nobody']);
  });
});

describe('the status of a handler that is not ours, under an interceptor', () => {
  afterEach(stopAll);
  const hush = configure({ onError: () => {} });

  for (const interceptors of [[interceptor(hush)], [interceptor(hush), interceptor(hush)]])
    it(`passes with its trailers, under ${interceptors.length}; of an UNKNOWN, the text stays here`, async () => {
      for (const code of CODES) {
        const server = await start(one => void one.addService(definition, { stream: given(code) }), {
          interceptors,
        });
        const details = code === status.UNKNOWN ? 'internal error' : DETAILS;
        expect(said(await server.call())).to.deep.equal({ code, details, trailer: 'yes' });
        await server.close();
      }
    });
});

/** Messages that cannot be sent, and what is told of them. */
const unsendable: Record<string, { message: unknown; options?: ServerOptions; told: string }> = {
  'cannot be encoded': { message: { a: 1n }, told: 'could not be serialised' },
  'is too large': {
    message: 'x'.repeat(500),
    options: { 'grpc.max_send_message_length': 100 },
    told: 'has 502 bytes, and 100 may be sent',
  },
};

describe('a message that cannot be sent, under interceptors', () => {
  afterEach(stopAll);

  for (const [what, { message, options = {}, told }] of Object.entries(unsendable))
    for (const kind of kinds)
      for (const on of ['wrap', 'mount', 'interceptor'] as const)
        for (const above of [1, 2])
          it(`is told of once when it ${what}: ${kind} on ${on}, under ${above}`, async () => {
            const reports: unknown[] = [];
            const outcomes: Outcome[] = [];
            const heard = configure({ onError: error => void reports.push(error) });
            const listen: Middleware = () => ({ end: outcome => void outcomes.push(outcome) });
            const method = () => (streamsOut(kind) ? [message] : message);
            const server = await serveKind(on, kind, method, [heard, listen], {
              ...options,
              interceptors: Array(above).fill(interceptor(heard, listen)),
            });
            const { code, details } = await calling(server, kind, [1]).reply;
            expect(details).to.include(told);
            expect(reports.map(String)).to.have.length(1);
            expect(String(reports[0])).to.include(told);
            for (const outcome of outcomes)
              expect([outcome.code, outcome.details, outcome.cause]).to.deep.equal([
                code,
                details,
                reports[0],
              ]);
          });
});

describe('a call that a layer of an interceptor ends at a message', () => {
  afterEach(stopAll);

  const ways: Record<string, Middleware> = {
    'ends it': call => ({
      message: () => call.end({ code: status.ABORTED, details: DETAILS, reason: 'error' }),
    }),
    'throws a status': () => ({ message: () => thrown(status.ABORTED) }),
  };
  const both = Object.entries(ways).flatMap(([way, ends]) =>
    (['wrap', 'mount'] as const).map(on => ({ way, ends, on })),
  );

  for (const { way, ends, on } of both)
    it(`ends so for the layers above, and nobody is told of it: one that ${way}, on ${on}`, async () => {
      const reports: unknown[] = [];
      const outcomes: Outcome[] = [];
      const server = await serveKind(
        on,
        'serverStream',
        () => [1, 2],
        [
          configure({ onError: error => void reports.push(error) }),
          () => ({ end: outcome => void outcomes.push(outcome) }),
        ],
        { interceptors: [interceptor(ends)] },
      );
      expect(await calling(server, 'serverStream').reply).to.deep.include({
        code: status.ABORTED,
        details: DETAILS,
      });
      expect(outcomes.map(({ code, details }) => ({ code, details }))).to.deep.equal([
        { code: status.ABORTED, details: DETAILS },
      ]);
      expect(reports).to.deep.equal([]);
    });
});

function said({ code, details, trailer }: Reply): { code: status; details: string; trailer: unknown } {
  return { code, details, trailer: trailer.get('x-trailer')[0] };
}
