import { runInThisContext } from 'node:vm';
import { Server, type ServiceDefinition, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import {
  compose,
  configure,
  interceptor,
  type Middleware,
  mount,
  only,
  produce,
  wrap,
} from '../../lib/index.ts';
import { collect } from '../../lib/testing/index.ts';
import { batch } from '../../middleware/batch.ts';
import { checksum } from '../../middleware/checksum.ts';
import { errors } from '../../middleware/errors.ts';
import { heartbeat } from '../../middleware/heartbeat.ts';
import { limits } from '../../middleware/limits.ts';
import { logging } from '../../middleware/logging.ts';
import { metadata } from '../../middleware/metadata.ts';
import { metrics } from '../../middleware/metrics.ts';
import { tracing } from '../../middleware/tracing.ts';
import { listener } from '../support/errors.ts';
import { definition, mountNames, serve, start, stopAll, until } from '../support/harness.ts';
import { calling, serveKind } from '../support/kinds.ts';

const makers = {
  batch,
  checksum,
  compose,
  configure,
  errors,
  heartbeat,
  limits,
  logging,
  metadata,
  metrics,
  only,
  tracing,
};
const kinds: ServiceDefinition = {
  ...definition,
  one: { ...definition.stream, path: '/test.Test/One', responseStream: false },
};
const source = () => [1];

/** Each place that takes middleware. */
const places: Record<string, (middleware: Middleware) => unknown> = {
  mount: middleware => mount(new Server(), definition, { stream: source }, middleware),
  produce: middleware => produce(source, middleware),
  wrap: middleware => wrap((call: any) => call.end(), middleware),
  interceptor: middleware => interceptor(middleware),
  compose: middleware => compose(middleware),
  only: middleware => only(() => true, middleware),
};

describe('a middleware that was not made yet', () => {
  afterEach(stopAll);

  for (const [place, give] of Object.entries(places))
    it(`is refused by \`${place}\`, which says how to make it`, () => {
      for (const [name, maker] of Object.entries(makers))
        expect(() => give(maker as never)).to.throw(
          TypeError,
          `got \`${name}\` itself, which makes one: call it, \`${name}()\``,
        );
    });

  for (const on of mountNames)
    it(`and is a user's own is told of at its first call, on ${on}`, async () => {
      const heard = listener();
      const auth = () => (): void => {};
      const { call } = await serve(on, source, [...heard.middleware, auth as never]);
      expect((await call()).code).to.equal(status.UNKNOWN);
      expect(String(heard.errors[0])).to.include('of `auth`: it may have to be called, `auth()`');
    });
});

/** Handlers of grpc-js whose text shows that. */
const handlers: Record<string, (...args: any[]) => unknown> = {
  write: call => call.write(1),
  end(call) {
    call.end();
  },
  on: function handler(call) {
    call.on('data', () => {});
  },
  emit: async call => {
    await undefined;
    call.emit('error', new Error('it failed'));
  },
  sendMetadata: (call: any) => void call.sendMetadata(undefined),
  callback: (_call, callback) => callback(null, 1),
  'callback, beside what reads like no code': (call, callback) => {
    const text = `${`it's //${call.path}`}'`;
    if (/'/.test(text)) return callback(/\//);
  },
};

/** Methods that look a little like handlers. */
const methods: Record<string, (...args: any[]) => unknown> = {
  'that ends its call': (_request, call) => call.end({ code: 3, details: 'no' }),
  'that has another of that name': (items: any, each) => items.map((each: any) => each(1)).concat([each]),
  'that only mentions it': request => [`call.write() of ${request}`, 'request.write(1)'],
  'that has a part of that name': request => [request.call.write(1)],
  'that takes it apart': ({ write }) => [write(1)],
  'that puts a template into a template': (request, call) => ({
    text: `it's ${`call(${call.peer})`} of ${request}`,
  }),
  'that has a template that reads like a comment, and another': (request, call) => [
    `http://${`${request}`}`,
    `it's call(${call.peer})`,
  ],
  'that is bound': ((call: any) => call.write(1)).bind(undefined),
  async *'that yields'(request) {
    yield request.on('data');
  },
};

/** Methods, and what is theirs of the name of their call or request; as text, since names are changed on the way here. */
const texts: Record<string, string> = {
  'calls its own private method':
    '(class { #call(x) { return x; } f(request, call) { return this.#call(request); } }).prototype.f',
  'makes an object with such a method': '(request, call) => ({ peer: call.peer, call(x) { return x; } })',
  'makes a class with such a method':
    '(request, call) => { class A { async call() {} static call() {} *call() {} get call() {} } return new A().call(); }',
  'calls such a method, on the next line': '(request, call) => request\n  .call(1)',
  'might have none': '(request, call) => call?.(1)',
  'asks what it is': "(request, call) => (typeof call === 'function' ? call(1) : 1)",
  'has a regular expression with a quote': "(request, call) => [/'/.test(request), 'call(1)', /[/]call(1)/]",
  'has a regular expression after a condition':
    '(request, call) => { if (request) /call(1)/.test(request); }',
  divides: "(request, call) => [request.a / call.b, 'call(1)/', 4 / 2]",
  'has a comment with a quote': "(request, call) => {\n  // it's\n  return 'call(1)'; /* don't call(2) */ }",
  'catches another': '(request, call) => { try { request(); } catch (call) { call(1); } }',
  'takes another apart': '(request, call) => { { const { a, call } = request; return call(a); } }',
  'takes another out of a pattern': '(request, call) => { { const { a: [, call] } = request; call(1); } }',
  'declares another beside others': '(request, call) => { { let a = 1, call; call(a); } }',
  'loops over others': '(request, call) => { for (const [, call] of request) call(1); }',
  'has a parameter of that name': '(request, call) => request.map((x, { y: call }) => call(x))',
  'has a method with a parameter of that name': '(request, call) => ({ do(x, call) { return call(x); } })',
  'has a function with a default of that name': '(request, call) => ((x, call = y => y) => call(x))(1)',
  'has a function of that name': '(request, call) => { { function* call() {} call(); } }',
  'gives it another value': '(request, call) => { call = String; return call(1); }',
  'might give it another value': '(request, call) => { call ??= String; return call(1); }',
  'makes another request of it': '(request) => { request &&= f(request); request.write(1); }',
  'adds to it': '(request, call) => { call += 1; call **= 2; call >>>= 1; return call(1); }',
  'asks of which class it is': '(request, call) => { if (call instanceof Function) call(1); }',
  'takes its request apart, and has another of that name':
    '({ a }, call) => { { const call = a; call(1); } }',
  'writes into a request of bytes, and returns it':
    "(bytes) => { bytes.write('x', 0); return bytes.length; }",
  'asks a request that is of a class': '(range) => ({ num: range.end() })',
  'returns what it made of a request of a class': '(range) => { const to = range.end(); return to; }',
  'has a default, and calls that': '({ a }, now = Date.now) => ({ a, at: now() })',
  'takes whatever comes': '(request, ...rest) => rest(1)',
  'has another request of that name': '(request) => [].map(({ request }) => request.write(1))',
};

/** Handlers, as they are written also. */
const shown: Record<string, string> = {
  'with a comma after its parameters': '(call,\n  callback,\n) => { callback(null, 1); }',
  'that takes its call apart':
    '({ request: { max, ...more } }, callback) => { callback(null, [max, more]); }',
  'that takes its call apart, as a method':
    '({ async f({ request: [a] }, callback) { callback(null, a); } }).f',
  'that divides by a number with a point':
    '(call, callback) => { const a = 1. / 2, b = "("; callback(null, [a, b, 4. / 2]); }',
  'that has what assigns before a regular expression':
    '(call, callback) => { let a; a ||= /[(]/; a ??= /"/; callback(null, a); }',
  'of a name that is computed': "({ ['a' + 'b'](call, callback) { callback(null, 1); } }).ab",
  'that hands its callback on, too':
    '(call, callback) => { if (call.x) f(callback); else callback(null, 1); }',
  'that returns what it does':
    '(call, callback) => { if (call.x) return void callback(null); return callback(null, 1); }',
  'that returns something else, and calls back': '(call, callback) => { callback(null, 1); return f(); }',
  'in a block':
    '(call, callback) => { for (const x of [1]) { f(x, callback); callback(null, { callback }); } }',
};

describe('a handler of grpc-js where a method is expected', () => {
  afterEach(stopAll);

  for (const [name, handler] of Object.entries(handlers)) {
    it(`is refused when it shows: ${name}`, () => {
      const told =
        /got a handler of grpc-js, as it calls `(call|callback)[.\w]*\(\)`: it goes in by `wrap\(handler\)`$/;
      expect(() => mount(new Server(), definition, { stream: handler as never })).to.throw(TypeError, told);
      expect(() => mount(new Server(), kinds, { one: handler as never })).to.throw(TypeError, told);
      expect(() => produce(handler as never)).to.throw(TypeError, told);
      expect(() => mount(new Server(), definition, { stream: wrap(handler as never) })).not.to.throw();
    });
  }

  for (const [name, method] of Object.entries(methods))
    it(`is not seen in a method ${name}`, () => {
      expect(() => produce(method as never)).not.to.throw();
    });

  for (const [name, text] of Object.entries(texts))
    it(`is not seen in a method that ${name}`, () => {
      expect(() => produce(runInThisContext(text))).not.to.throw();
    });

  for (const [name, text] of Object.entries(shown))
    it(`is refused: one ${name}`, () => {
      expect(() => produce(runInThisContext(text))).to.throw(TypeError, 'as it calls `callback()`');
    });

  it('is told of with the stack of where it failed', async () => {
    const heard = listener();
    const handler = (...[stream]: any[]) => stream.write(1);
    const server = await serve('mount', handler, heard.middleware);
    await server.call();
    expect(heard.errors.map(error => (error as Error).stack)[0]).to.match(
      /^TypeError: .* is not a function; a handler of grpc-js goes in by `wrap\(handler\)`\n +at .*mistakes\.spec/,
    );
  });

  it('and returns nothing is told so', async () => {
    const heard = listener();
    const { call } = await serve('mount', (() => {}) as never, heard.middleware);
    expect((await call()).code).to.equal(status.INTERNAL);
    expect(String(heard.errors[0])).to.include('is a `return` missing, or is it a handler of grpc-js');
  });
});

/** What is not a function in each of them is an ordinary bug. */
const bugs: Record<string, (db: any) => (...args: any[]) => unknown> = {
  'with no parameter': db => () => db.find(),
  'with one parameter': db => request => db.find(request),
  'with two parameters': db => (request, call) => db.find(request, call.signal),
  'that is async': db => async (request, call) => db.find(request, call),
  'that calls something bare':
    ({ find }) =>
    (request, call) =>
      find(request, call),
  'that takes its parameters apart':
    db =>
    ({ id }, { signal }) =>
      db.find(id, signal),
  'with a parameter without parentheses': db => request => db.find(request, 1),
  'of which a part has the name of its call': db => (request, call) => db.call(request, call),
  'that is bound': db =>
    ((request: unknown, call: unknown) => db.find(request, call)).bind(undefined) as () => unknown,
};

/** Their text does not show that the second parameter is called, their failure does. */
const mixUps: Record<string, (...args: any[]) => unknown> = {
  'that hands its callback on': (call, callback) => handedOn(call, callback),
  'that has a default for its callback': (call, callback = () => {}) => {
    if (call) (() => callback(null))();
  },
  'that is bound': ((call: unknown, callback: (error: null, answer: unknown) => void) =>
    callback(null, call)).bind(undefined) as () => unknown,
  async 'that is async, and takes its call apart'({ request }, /* (of, grpc-js) */ callback) {
    handedOn(request, callback);
  },
};

function handedOn(answer: unknown, cb: (error: null, answer: unknown) => void): void {
  cb(null, answer);
}

describe('a method in which something is not a function', () => {
  afterEach(stopAll);

  const ruled = errors({ rules: [[TypeError, status.INVALID_ARGUMENT]] });

  for (const kind of ['unary', 'clientStream'] as const)
    for (const [name, bug] of Object.entries(bugs)) {
      for (const on of ['mount', 'produce'] as const)
        it(`E1 fails as it does in any other, ${name}, of ${kind} on ${on}`, async () => {
          const heard = listener();
          const ended = async (list: Middleware[]) => {
            const server = await serveKind(on, kind, bug({}), list);
            return (await calling(server, kind).reply).code;
          };
          expect(await ended(heard.middleware)).to.equal(status.UNKNOWN);
          expect(String(heard.errors[0])).to.match(/ is not a function$/);
          expect(await ended([ruled])).to.equal(status.INVALID_ARGUMENT);
        });

      it(`E1 fails likewise in a test, ${name}, of ${kind}`, async () => {
        const { outcome } = await collect(
          bug({}) as never,
          [{}] as never,
          { kind, middleware: [ruled] } as never,
        );
        expect(outcome.code).to.equal(status.INVALID_ARGUMENT);
      });
    }

  for (const [name, handler] of Object.entries(mixUps))
    it(`is a handler that was not wrapped: one ${name}`, async () => {
      const heard = listener();
      const server = await serveKind('mount', 'unary', handler, heard.middleware);
      expect((await calling(server, 'unary').reply).details).to.equal('the method has no answer');
      expect(String(heard.errors[0])).to.match(/; a handler of grpc-js goes in by `wrap\(handler\)`$/);
    });
});

describe('wrap()', () => {
  afterEach(stopAll);

  it('refuses a definition', () => {
    expect(() => wrap(definition)).to.throw(TypeError, `got the definition of \`${definition.stream.path}\``);
  });

  it('refuses a class, and says to give an instance', () => {
    class Numbers {
      stream(): void {}
    }
    expect(() => wrap(Numbers)).to.throw(
      TypeError,
      'got the class `Numbers`: give an instance, `new Numbers()`',
    );
    expect(() => wrap(new Numbers())).not.to.throw();
  });

  it('refuses a middleware, made or not', () => {
    for (const wrong of [tracing, tracing()])
      expect(() => wrap(wrong as never)).to.throw(
        TypeError,
        'got the middleware `tracing`: it comes after that, `wrap(handler, tracing())`',
      );
    expect(() => wrap(batch() as never, errors())).to.throw(TypeError, 'got the middleware `batch`');
  });
});

describe('what a handler under interceptor() failed with', () => {
  afterEach(stopAll);

  it('does not read as if it had failed here', async () => {
    let cause: unknown;
    const hears: Middleware = () => ({
      end: outcome => {
        cause = outcome.cause;
      },
    });
    const { call } = await start(
      server =>
        server.addService(definition, {
          stream: (stream: any) => stream.emit('error', new Error('it failed')),
        }),
      { interceptors: [interceptor(hears)] },
    );
    await call();
    await until('it is told', () => cause !== undefined);
    const { message, stack } = cause as Error;
    expect(message).to.equal('it failed');
    expect(stack).to.match(/^Error: it failed\n {4}in a handler under `interceptor`/);
    expect(stack).not.to.include('    at ');
  });
});
