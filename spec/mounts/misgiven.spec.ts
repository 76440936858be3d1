import { Server, type ServiceDefinition, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import {
  compose,
  interceptor,
  type Middleware,
  mount,
  only,
  plain,
  produce,
  StatusError,
  serverOptions,
  wrap,
} from '../../lib/index.ts';
import { topic } from '../../lib/sources/index.ts';
import { collect } from '../../lib/testing/index.ts';
import { errors } from '../../middleware/errors.ts';
import { tracing } from '../../middleware/tracing.ts';
import { listener } from '../support/errors.ts';
import { definition, quiet, start, stopAll } from '../support/harness.ts';

class Numbers {
  stream(): number[] {
    return [1];
  }
}

const one: ServiceDefinition = { Stream: definition.stream };

/** Each place that takes a method or a handler, and what it calls that. */
const places: Record<string, (given: any) => unknown> = {
  'methods.stream': given => mount(new Server(), definition, { stream: given }),
  method: given => produce(given),
  handler: given => plain(given),
  target: given => collect(given, {}),
};

/** Each place that takes middleware. */
const lists: Record<string, (given: any) => unknown> = {
  mount: given => mount(new Server(), definition, new Numbers(), given),
  produce: given => produce(() => [1], given),
  wrap: given => wrap((call: any) => call.end(), given),
  interceptor: given => interceptor(given),
  compose: given => compose(given),
  only: given => only(() => true, given),
};

describe('what is a function, and not the one that is expected', () => {
  for (const [name, give] of Object.entries(places)) {
    it(`is refused as \`${name}\` when it is a class`, () => {
      for (const given of [Numbers, class extends Numbers {}, Map])
        expect(() => give(given))
          .to.throw(TypeError, `Expected \`${name}\` to be a `)
          .with.property('message')
          .that.matches(/, not a class, got `(Numbers|given|Map|function)?.*` \(function\)$/);
    });

    it(`is refused as \`${name}\` when it is a middleware, made or not`, () => {
      for (const given of [errors, errors()])
        expect(() => give(given)).to.throw(TypeError, 'got the middleware `errors`: it comes after that, `');
    });
  }

  it('may be called `class`, and be written in any way that can be called', () => {
    const { class: method } = { class: () => [1] };
    const written = { class: (): number[] => [1], async async() {}, get() {}, static() {} };
    for (const given of [method, ...Object.values(written), function named() {}, async () => [1]])
      expect(() => produce(given as never)).not.to.throw();
  });

  it('is refused by `plain` and `wrap` when it yields, by its name', () => {
    const methods = { *stream() {} };
    expect(() => plain(methods.stream as never)).to.throw(TypeError, 'got `stream` (function)');
    expect(() => Reflect.get(wrap(methods), 'stream')).to.throw(
      TypeError,
      'Expected `target.stream` to be a handler, not a method that yields, got `stream` (function)',
    );
  });

  it('is refused by `produce` when a handler was made of it before', () => {
    for (const given of [produce(() => [1]), wrap((call: any) => call.end())])
      expect(() => produce(given as never)).to.throw(
        TypeError,
        'not a handler that `produce` or `wrap` made',
      );
  });

  for (const [name, give] of Object.entries(lists))
    it(`is refused in the list of \`${name}\` when it is a class or an interceptor`, () => {
      expect(() => give(Numbers)).to.throw(TypeError, 'to be a middleware, not a class, got `Numbers`');
      expect(() => give(interceptor(errors()))).to.throw(
        TypeError,
        'got an interceptor: it goes into `serverOptions({ interceptors })`',
      );
    });

  it('is refused among interceptors when it is a middleware', () => {
    for (const given of [errors, errors(), tracing()] as never[])
      expect(() => serverOptions({ interceptors: [interceptor(), given] })).to.throw(
        TypeError,
        /^Expected `interceptors\[1\]` to be an interceptor, got the middleware `(errors|tracing)`: give `interceptor\(\1\(\)\)`$/,
      );
    expect(() => serverOptions({ interceptors: [interceptor(errors())] })).not.to.throw();
  });

  it('is refused by `only` when it is a client class, or stands in place of a middleware', () => {
    for (const given of [Numbers, errors()])
      expect(() => only(given as never, errors() as Middleware)).to.throw(TypeError, 'Expected `match`');
  });
});

describe('an object that answers no method', () => {
  afterEach(stopAll);

  it('is refused by `mount`, unless it is an empty one', async () => {
    const misspelt = new (class Service {
      straem(): void {}
    })();
    const bare = Object.assign(Object.create(null), { default: {} });
    for (const given of [[() => [1]], new Map([['stream', () => [1]]]), misspelt, bare])
      expect(() => mount(new Server(), definition, given as never))
        .to.throw(TypeError, 'Expected `methods` to have a method of the service, got ')
        .with.property('message')
        .that.includes(': the service has stream');
    expect(() => mount(new Server(), definition, Promise.resolve(new Numbers()) as never)).to.throw(
      TypeError,
      'got `Promise` (object): give what it resolves to',
    );
    for (const given of [{}, Object.create(null), { stream: undefined }])
      expect(() => mount(new Server(), definition, given as never)).not.to.throw();
  });

  it('is refused by `wrap` when it is a promise or a list', () => {
    for (const given of [Promise.resolve({}), [(call: any) => call.end()]])
      expect(() => wrap(given)).to.throw(TypeError, 'Expected `target` to be a handler or an implementation');
  });

  it('does not answer by what every object has, under the very name of a method', async () => {
    for (const name of ['toString', 'valueOf', 'constructor', 'hasOwnProperty', 'isPrototypeOf'])
      for (const methods of [{}, { [name]: undefined }]) {
        const server = await start(running =>
          mount(running, { [name]: definition.stream }, methods as never, quiet),
        );
        expect((await server.call()).code, name).to.equal(status.UNIMPLEMENTED);
      }
  });
});

describe('a method by two of its names', () => {
  it('is refused, unless it is the same', () => {
    const method = () => [1];
    const both = (other: () => unknown) => ({ Stream: method, stream: other }) as never;
    expect(() =>
      mount(
        new Server(),
        one,
        both(() => [2]),
      ),
    ).to.throw(
      TypeError,
      'Expected `methods` to have one of `Stream` and `stream`, which are the same method, got both',
    );
    expect(() => mount(new Server(), one, both(method))).not.to.throw();
    const overriding = Object.assign(Object.create({ Stream: () => [2] }), { stream: method });
    expect(() => mount(new Server(), one, overriding)).not.to.throw();
  });
});

describe('what is given in place of an answer', () => {
  afterEach(stopAll);

  it('is told of when it is an error, or nothing, that a wrapped handler calls back with', async () => {
    for (const [given, told] of [
      [
        new StatusError(status.NOT_FOUND, 'none'),
        'got `StatusError` (object): an error comes first, `callback(error)`',
      ],
      [undefined, 'got `undefined` (undefined)'],
      [null, 'got `null` (object)'],
    ] as const) {
      const heard = listener();
      const handler = (_: unknown, callback: (error: null, message: unknown) => void) =>
        callback(null, given);
      const server = await start(running =>
        running.addService(
          { stream: { ...definition.stream, responseStream: false } },
          { stream: wrap(handler, ...heard.middleware) as never },
        ),
      );
      expect((await server.call()).code).to.equal(status.INTERNAL);
      expect(heard.errors.map(String)).to.deep.equal([
        `TypeError: Expected a handler to call back with a message, ${told}`,
      ]);
    }
  });

  it('is told of when it is a topic that nobody has subscribed to', async () => {
    const heard = listener();
    const server = await start(running =>
      mount(running, definition, { stream: () => topic() as never }, ...heard.middleware),
    );
    expect((await server.call()).details).to.equal('the method has no stream');
    expect(heard.errors.map(String)).to.deep.equal([
      'TypeError: Expected a source to return an AsyncIterable or another stream, got `LocalTopic` (object), a topic: return `topic.subscribe({ signal })`',
    ]);
  });
});
