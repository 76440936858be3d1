import { ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import {
  type Call,
  configure,
  counters,
  drain,
  type Middleware,
  type Outcome,
  wrap,
} from '../../lib/index.ts';
import { listener } from '../support/errors.ts';
import {
  type AnySource,
  definition,
  type Handler,
  mountNames,
  quiet,
  serve,
  start,
  stopAll,
  turn,
  until,
} from '../support/harness.ts';

const failed = new Error('it failed');
const INTERNAL = { code: status.UNKNOWN, details: 'internal error' };
const three: AnySource = async function* () {
  yield* [1, 2, 3];
};

/** What an async part of a layer that fails does to the call, and who hears of it. */
const parts: Record<string, { layer: Middleware; ends: object }> = {
  start: {
    layer: () => ({
      start: (async () => {
        throw failed;
      }) as () => void,
    }),
    ends: INTERNAL,
  },
  message: {
    layer: () => ({
      message: (async () => {
        throw failed;
      }) as () => void,
    }),
    ends: INTERNAL,
  },
  end: {
    layer: () => ({
      end: (async () => {
        throw failed;
      }) as () => void,
    }),
    ends: { code: status.OK, details: 'OK' },
  },
};

const NO_LAYER = /Expected `a middleware` to be a function that returns a layer/;

/** What a middleware may return by mistake, and what its developer reads. */
const mistakes: Record<string, [middleware: (call: any, next: any) => unknown, told: RegExp]> = {
  'whose options were forgotten': [() => () => undefined, NO_LAYER],
  'that returns something else': [() => true, NO_LAYER],
  'that yields, as those of others do': [
    async function* auth(call, next) {
      yield* next(call.request, call);
    },
    /got `AsyncGenerator` \(object\), of `auth`$/,
  ],
  'with a list of layers': [() => [{ end() {} }], /got `Array` \(object\)/],
  'with a misspelt part': [() => ({ mesage() {} }), /got `mesage`: did you mean `message`\?/],
  'with an end that is none': [async () => ({ end: { code: 0 } }), /Expected `layer.end` to be a function/],
  ...Object.fromEntries(
    ['start', 'message', 'end', 'ready'].map(part => [
      `whose \`${part}\` is no function`,
      [
        function mine() {
          return { end() {}, [part]: 5 };
        },
        new RegExp(`Expected \`layer.${part}\` to be a function, got \`5\` \\(number\\), of \`mine\``),
      ],
    ]),
  ),
};

/** What it may return. */
const layers: Record<string, () => unknown> = {
  'an empty one': () => ({}),
  'one of parts that are not there': () => ({ start: undefined, message: null, end: undefined }),
  'one without a prototype': () => Object.assign(Object.create(null), { end() {} }),
  'an instance of a class': () =>
    new (class Counting {
      count = 0;
      end(): void {}
    })(),
};

describe('what layers should not do', () => {
  afterEach(stopAll);

  for (const on of mountNames) {
    for (const [part, { layer, ends }] of Object.entries(parts))
      it(`survives an async \`${part}\` that fails, on ${on}`, async () => {
        const heard = listener();
        const { call } = await serve(on, three, [...heard.middleware, layer]);
        expect(await call()).to.include(ends);
        await until('it is reported', () => heard.errors.length > 0);
        expect(heard.errors).to.deep.equal([failed]);
      });

    for (const [what, layer] of Object.entries(layers))
      it(`takes ${what} as a layer, on ${on}`, async () => {
        const { call } = await serve(on, three, [layer as Middleware]);
        expect(await call()).to.deep.include({ code: status.OK, messages: [1, 2, 3] });
      });

    for (const [what, [middleware, told]] of Object.entries(mistakes))
      it(`refuses a middleware ${what}, on ${on}`, async () => {
        const heard = listener();
        const { call } = await serve(on, three, [...heard.middleware, middleware as Middleware]);
        expect(await call()).to.include(INTERNAL);
        expect(heard.errors).to.have.length(1);
        expect(heard.errors[0]).to.be.instanceOf(TypeError);
        expect(String(heard.errors[0])).to.match(told);
      });

    for (const answer of [true, false, 0, {}])
      for (const beside of [[], [{ ready: () => turn() }]])
        it(`refuses a \`ready\` that answers ${JSON.stringify(answer)}, of ${beside.length + 1}, on ${on}`, async () => {
          const heard = listener();
          const asked: Middleware = () => ({ ready: () => answer as never });
          const { call } = await serve(on, three, [
            ...heard.middleware,
            ...beside.map(layer => () => layer),
            asked,
          ]);
          expect(await call()).to.include(INTERNAL);
          expect(heard.errors).to.have.length(1);
          expect(String(heard.errors[0])).to.match(
            /Expected `ready\(\)` to return nothing or a promise, got `/,
          );
        });

    it(`tells, once, of messages that a layer sends when its call is over, on ${on}`, async () => {
      const heard = listener();
      const slow: Middleware = (_call, next) => ({
        message: (async (message: unknown) => {
          await turn();
          next.message(message);
        }) as (message: unknown) => void,
      });
      const passing: Middleware = (_call, next) => ({ message: message => next.message(message) });
      for (const list of [[slow], [passing, slow]]) {
        heard.errors.length = 0;
        const { call } = await serve(on, () => [1, 2, 3], [...heard.middleware, ...list]);
        expect(await call()).to.include({ code: status.OK });
        await until('it is told', () => heard.errors.length > 0);
        await turn();
        expect(heard.errors).to.have.length(1);
        expect(String(heard.errors[0])).to.match(
          /^TypeError: Expected the layers of .* to send all they have/,
        );
      }
    });

    it(`says nothing of what is left when a layer has had enough, or a client, on ${on}`, async () => {
      const heard = listener();
      const first: Middleware = (call, next) => ({
        message(message) {
          next.message(message);
          call.end({ code: status.OK, details: 'OK', reason: 'completed' });
          next.message(message);
        },
      });
      const { call } = await serve(on, three, [...heard.middleware, first]);
      expect((await call()).messages).to.deep.equal([1]);
      const later: Middleware = (_call, next) => ({
        end: () => void setImmediate(() => next.message('late')),
      });
      const endless: AnySource = async function* (_request, { signal }) {
        yield 1;
        await new Promise(resolve => signal.addEventListener('abort', resolve));
      };
      const { lateMessages } = counters();
      const calling = (await serve(on, endless, [...heard.middleware, later])).open();
      calling.stream.once('data', () => calling.cancel());
      await calling.reply;
      await until('a message came too late', () => counters().lateMessages > lateMessages);
      expect(heard.errors).to.deep.equal([]);
    });

    for (const reason of [undefined, 'whatever', null] as never[])
      for (const [code, heard] of [
        [status.OK, 'completed'],
        [status.NOT_FOUND, 'error'],
      ] as const)
        it(`takes an end with ${status[code]}, of which the reason is ${reason}, for ${heard}, on ${on}`, async () => {
          const outcome: Outcome = { code, details: 'so', reason };
          const ways: Middleware[] = [
            () => ({ end: () => outcome }),
            call => call.end(outcome),
            call => ({ message: () => call.end(outcome) }),
          ];
          for (const way of ways) {
            const reasons: string[] = [];
            const outer: Middleware = () => ({ end: ({ reason }) => void reasons.push(reason) });
            const { call } = await serve(on, three, [outer, way]);
            expect((await call()).code).to.equal(code);
            expect(reasons).to.deep.equal([heard]);
          }
        });

    it(`lets timers run when a layer drops all that a source which never waits yields, on ${on}`, async () => {
      let fired = false;
      let yielded = 0;
      const drops: Middleware = () => ({ message: () => {} });
      const source: AnySource = async function* () {
        setTimeout(() => {
          fired = true;
        });
        while (!fired && yielded < 5_000_000) yield ++yielded;
      };
      const { call } = await serve(on, source, [drops]);
      expect((await call()).code).to.equal(status.OK);
      expect(fired).to.equal(true);
    });
  }
});

describe('what is thrown when the call is over', () => {
  afterEach(stopAll);

  it('by a wrapped handler after its end is reported', async () => {
    const heard = listener();
    const handler = (async call => {
      call.end();
      await turn();
      throw failed;
    }) as Handler;
    const { call } = await start(server =>
      server.addService(definition, { stream: wrap(handler, ...heard.middleware) }),
    );
    expect((await call()).code).to.equal(status.OK);
    await until('it is reported', () => heard.errors.length > 0);
    expect(heard.errors).to.deep.equal([failed]);
  });

  it('by a wrapped handler whose write came too late is not', async () => {
    const heard = listener();
    let over = false;
    const handler = (async call => {
      const write = (message: unknown) =>
        new Promise<void>((resolve, reject) =>
          call.write(message, (error: unknown) => (error ? reject(error) : resolve())),
        );
      try {
        for (;;) {
          await write('x');
          await turn();
        }
      } finally {
        over = true;
      }
    }) as Handler;
    const { open } = await start(server =>
      server.addService(definition, { stream: wrap(handler, ...heard.middleware) }),
    );
    const { stream, cancel, reply } = open();
    stream.once('data', cancel);
    await reply;
    await until('the handler has ended', () => over);
    await turn();
    expect(heard.errors).to.deep.equal([]);
  });

  it('by an iterator as soon as it hears of the abort is reported', async () => {
    const heard = listener();
    let waits = false;
    const source: AnySource = (_request, { signal }) => ({
      [Symbol.asyncIterator]: () => ({
        next: () =>
          new Promise((_, reject) => {
            waits = true;
            signal.addEventListener('abort', () => reject(failed));
          }),
      }),
    });
    const { open } = await serve('produce', source, heard.middleware);
    const { cancel, reply } = open();
    await until('it waits', () => waits);
    cancel();
    await reply;
    await until('it is reported', () => heard.errors.length > 0);
    expect(heard.errors).to.deep.equal([failed]);
  });
});

describe('what a layer throws when its call is over', () => {
  afterEach(stopAll);
  const ways: Record<string, (error: (call: Call) => unknown) => Middleware> = {
    'in start': error => call => ({
      start(inner) {
        inner();
        call.end({ code: status.OK, details: 'OK', reason: 'completed' });
        throw error(call);
      },
    }),
    'in an async start': error => call => ({
      start: (async (inner: () => void) => {
        inner();
        call.end({ code: status.OK, details: 'OK', reason: 'completed' });
        await turn();
        throw error(call);
      }) as (inner: () => void) => void,
    }),
    'in a factory that was waited for': error => async call => {
      call.end({ code: status.OK, details: 'OK', reason: 'completed' });
      await turn();
      throw error(call);
    },
  };
  for (const on of mountNames)
    for (const [where, way] of Object.entries(ways)) {
      it(`is reported, once: ${where}, on ${on}`, async () => {
        const heard = listener();
        const { call } = await serve(on, three, [...heard.middleware, way(() => failed)]);
        expect((await call()).code).to.equal(status.OK);
        await until('it is reported', () => heard.errors.length > 0);
        await turn();
        expect(heard.errors).to.deep.equal([failed]);
      });

      it(`is not where it says no more than that: ${where}, on ${on}`, async () => {
        const heard = listener();
        let threw = false;
        const aborted = () => {
          threw = true;
          return new DOMException('aborted', 'AbortError');
        };
        const { call } = await serve(on, three, [...heard.middleware, way(aborted)]);
        await call();
        await until('it threw', () => threw);
        await turn();
        expect(heard.errors).to.deep.equal([]);
      });
    }
});

describe('drain() of one server', () => {
  afterEach(stopAll);

  /** Two ways not to see what is below a call. */
  const hidden: Record<string, (handler: Handler) => Promise<Awaited<ReturnType<typeof start>>>> = {
    'below an interceptor that overrides what it inherits': handler => {
      class Opaque extends ServerInterceptingCall {
        override sendMessage(message: unknown, callback: () => void): void {
          super.sendMessage(message, callback);
        }
      }
      const interceptors: ServerInterceptor[] = [(_method, call) => new Opaque(call)];
      return start(server => server.addService(definition, { stream: handler }), { interceptors });
    },
    'below another wrap': handler =>
      start(server =>
        server.addService(definition, { stream: wrap((call => handler(call)) as Handler, quiet) }),
      ),
  };

  for (const [where, serveOther] of Object.entries(hidden))
    it(`leaves the streams of another alone, ${where}`, async () => {
      const outcomes: Outcome[] = [];
      const look: Middleware = () => ({ end: outcome => void outcomes.push(outcome) });
      let stop = () => {};
      const written: Handler = call => {
        call.write('first');
        stop = () => void call.end();
      };
      const other = await serveOther(wrap(written, quiet, look));
      const one = await serve('mount', three);
      const calling = other.open();
      await new Promise(resolve => calling.stream.once('data', resolve));
      await drain(one.server, { graceMs: 0 });
      expect(outcomes).to.deep.equal([]);
      stop();
      expect((await calling.reply).code).to.equal(status.OK);
    });
});

describe('a message that cannot be encoded', () => {
  afterEach(stopAll);

  const says = 'the message at index 4 of /spec.Service/Stream could not be serialised';
  for (const on of ['produce', 'mount'] as const)
    it(`is named by its index among what waits too, with the reason, on ${on}`, async () => {
      const heard = listener();
      const source: AnySource = function* () {
        yield [1, 2, 3, 4, 5n];
      };
      const flat: Middleware = (_call, next) => ({
        message: list => {
          for (const message of list as unknown[]) next.message(message);
        },
      });
      const list = [...heard.middleware, configure({ maxUnackedMessages: 1 }), flat];
      const { call } = await serve(on, source, list);
      const { details, messages } = await call();
      expect(details).to.equal(says);
      expect(messages.length).to.be.at.most(4);
      expect(heard.errors).to.have.length(1);
      expect((heard.errors[0] as Error).message).to.contain(says);
      expect((heard.errors[0] as Error).cause).to.be.instanceOf(TypeError);
    });
});
