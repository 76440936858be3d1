import {
  type Client,
  Metadata,
  type MethodDefinition,
  Server,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { expect } from 'chai';
import {
  broadcast,
  configure,
  type Middleware,
  mount,
  plain,
  produce,
  type Requests,
  wrap,
} from '../../lib/index.ts';
import type { NumberServiceDefinition } from '../../proto/generated/tutorial/NumberService.ts';
import {
  type AnySource,
  deferred,
  definition,
  type Handler,
  mountNames,
  path,
  quiet,
  serve,
  start,
  stopAll,
  turn,
} from '../support/harness.ts';
import { delayed } from '../support/interceptors.ts';

const { serialize, deserialize } = {
  serialize: definition.stream.responseSerialize,
  deserialize: definition.stream.responseDeserialize,
};

/** A method of any kind, as JSON. */
function method<In extends boolean, Out extends boolean>(
  name: string,
  requestStream: In,
  responseStream: Out,
): MethodDefinition<any, any> & { requestStream: In; responseStream: Out } {
  return {
    path: `/spec.Service/${name}`,
    requestStream,
    responseStream,
    requestSerialize: serialize,
    requestDeserialize: deserialize,
    responseSerialize: serialize,
    responseDeserialize: deserialize,
  };
}

const everyKind = {
  stream: definition.stream,
  unary: method('Unary', false, false),
  upload: method('Upload', true, false),
  chat: method('Chat', true, true),
} satisfies ServiceDefinition;

/** Says that it was made and that it ended. */
const named =
  (name: string, log: string[]): Middleware =>
  () => {
    log.push(`${name} made`);
    return { end: () => void log.push(`${name} ended`) };
  };

/** The numbers that a definition of proto-loader serves, under each name it has. */
function numberService(): NumberServiceDefinition {
  const { pathname } = new URL('../../proto/number_service.proto', import.meta.url);
  const { service } = { service: loadSync(pathname)['tutorial.NumberService'] };
  return service as unknown as NumberServiceDefinition;
}

describe('mount()', () => {
  afterEach(stopAll);
  describe('names', names);
  describe('misuse', misuse);
  describe('values', values);
  describe('other kinds of methods', otherKinds);
  describe('encoding', encoding);
});

function names(): void {
  for (const name of ['ListNumbers', 'listNumbers'] as const) {
    it(`takes ${name} for a method that the .proto calls ListNumbers`, async () => {
      const service = numberService();
      const server = await start(one =>
        mount(one, service, {
          async *[name]({ max }: { max: number }) {
            for (let num = 1; num <= max; num++) yield { num };
          },
        }),
      );
      expect(await list(server.client, service.ListNumbers, { max: 3 })).to.deep.equal([
        { num: 1 },
        { num: 2 },
        { num: 3 },
      ]);
    });
  }

  it('takes the original name of a method', async () => {
    const renamed = { Stream: { ...definition.stream, originalName: 'the_stream' } };
    const server = await start(one => mount(one, renamed, { the_stream: () => ['first'] } as never));
    expect((await server.call()).messages).to.deep.equal(['first']);
  });

  it('answers UNIMPLEMENTED for a method that is left out', async () => {
    for (const sources of [{}, { stream: undefined }]) {
      const server = await start(one => mount(one, definition, sources as never, quiet));
      expect((await server.call()).code).to.equal(status.UNIMPLEMENTED);
    }
  });

  it('answers UNIMPLEMENTED for a method left out that every object has by that name', async () => {
    for (const name of ['ToString', 'ValueOf', 'Constructor', 'HasOwnProperty']) {
      const one = await start(server => mount(server, { [name]: definition.stream }, {}, quiet));
      expect((await one.call()).code, name).to.equal(status.UNIMPLEMENTED);
    }
  });

  it('refuses a method that the service has not, and says which it has', () => {
    for (const [name, hint] of [
      ['straem', 'did you mean `stream`?'],
      ['somethingElse', 'it has stream, unary, upload, chat'],
    ] as const)
      expect(() => mount(new Server(), everyKind, { [name]: () => [] } as never)).to.throw(
        TypeError,
        `Expected a method of the service, got \`${name}\`: ${hint}`,
      );
  });

  it('lets a class have helpers beside its methods', async () => {
    class Service {
      readonly #first = 'first';
      helper() {
        return this.#first;
      }
      *stream() {
        yield this.helper();
      }
    }
    class Inherits extends Service {}
    for (const service of [new Service(), new Inherits()]) {
      const server = await start(one => mount(one, definition, service));
      expect((await server.call()).messages).to.deep.equal(['first']);
    }
  });

  it('lets one server have several services, and refuses a method twice', async () => {
    const other = { other: { ...definition.stream, path: '/spec.Other/Stream' } };
    await start(one => {
      mount(one, definition, { stream: () => [] });
      mount(one, other, { other: () => [] });
      expect(() => mount(one, definition, { stream: () => [] })).to.throw(/already provided/);
    });
  });

  it('does not change the definition or the sources', () => {
    const service = { ...definition };
    const sources = { stream: () => [] };
    const before = { ...sources };
    mount(new Server(), service, sources);
    expect(service).to.deep.equal(definition);
    expect(service.stream.responseSerialize).to.equal(definition.stream.responseSerialize);
    expect(sources).to.deep.equal(before);
  });
}

function misuse(): void {
  const server = new Server();
  const cases: [string, () => void][] = [
    [
      'Expected `server` to be a grpc.Server, got `undefined` (undefined)',
      () => mount(undefined as never, definition, {}),
    ],
    [
      'Expected `server` to be a grpc.Server, got `Object` (object)',
      () => mount({} as never, definition, {}),
    ],
    [
      'Expected `definition` to be a service definition, got `null` (object)',
      () => mount(server, null as never, {}),
    ],
    [
      'Expected `definition` to be a service definition, got `tutorial.NumberService` (string)',
      () => mount(server, 'tutorial.NumberService' as never, {}),
    ],
    [
      'Expected `methods` to be an object of methods, got `null` (object)',
      () => mount(server, definition, null as never),
    ],
    [
      'Expected `methods` to be an object of methods, got `numbers` (function)',
      () => mount(server, definition, function numbers() {} as never),
    ],
    [
      'Expected `methods.stream` to be a method or a handler, got `5` (number)',
      () => mount(server, definition, { stream: 5 as never }),
    ],
    [
      'Expected `methods.stream` to be a method or a handler, got `Array` (object)',
      () => mount(server, definition, { stream: [1, 2] as never }),
    ],
    [
      'Expected `methods.stream` to be a method or a handler, got `null` (object)',
      () => mount(server, definition, { stream: null as never }),
    ],
    [
      'Expected `methods.unary` to be a method or a handler, got `true` (boolean)',
      () => mount(server, everyKind, { unary: true as never }),
    ],
    [
      'Expected `methods.listNumbers` to be a method or a handler, got `5` (number)',
      () => mount(server, numberService(), { listNumbers: 5 as never }),
    ],
    [
      'Expected `methods.ListNumbers` to be a method or a handler, got `5` (number)',
      () => mount(server, numberService(), { ListNumbers: 5 as never }),
    ],
    [
      'Expected `methods.unary` to be a method that answers with one message, as its response is no stream, got `counting` (function)',
      () => mount(server, everyKind, { unary: async function* counting() {} as never }),
    ],
    [
      'Expected `methods.upload` to be a method that answers with one message, as its response is no stream, got `bound counting` (function)',
      () => mount(server, everyKind, { upload: function* counting() {}.bind(null) as never }),
    ],
    [
      'Expected `methods.unary` to be a method that answers with one message, as its response is no stream, got `produced` (function)',
      () => mount(server, everyKind, { unary: produce(function* () {}) as never }),
    ],
    [
      'Expected `methods.stream` to be a method, or `wrap(handler)`, as it is server-streaming, got `byHand` (function)',
      () => mount(server, definition, { stream: plain(function byHand() {}) as never }),
    ],
    ['Expected `handler` to be a function, got `undefined` (undefined)', () => plain(undefined as never)],
    [
      'Expected `middleware[1]` to be a function, got `Object` (object)',
      () => mount(server, definition, {}, () => {}, {} as never),
    ],
  ];
  for (const [sentence, act] of cases) {
    it(sentence, () => expect(act).to.throw(TypeError).with.property('message', sentence));
  }

  it('registers nothing when it refuses', () => {
    const fresh = new Server();
    expect(() => mount(fresh, everyKind, { stream: () => [], unary: 5 as never })).to.throw(TypeError);
    mount(fresh, everyKind, { stream: () => [] });
  });
}

function values(): void {
  it('calls a source with `this` being the object it stands in', async () => {
    const sources = {
      word: 'first',
      stream(this: { word: string }) {
        return [this.word];
      },
    };
    Object.defineProperty(sources, 'word', { enumerable: false });
    const server = await start(one => mount(one, definition, sources as never));
    expect((await server.call()).messages).to.deep.equal(['first']);
  });

  it('puts its middleware outside those of produce()', async () => {
    const log: string[] = [];
    const made = produce(() => ['first'], named('inner', log), named('innermost', log));
    const server = await start(one => mount(one, definition, { stream: made }, quiet, named('outer', log)));
    expect((await server.call()).messages).to.deep.equal(['first']);
    expect(log).to.deep.equal([
      'outer made',
      'inner made',
      'innermost made',
      'innermost ended',
      'inner ended',
      'outer ended',
    ]);
  });

  it('puts its middleware outside those of wrap()', async () => {
    const log: string[] = [];
    const handler: Handler = stream => {
      stream.write('first');
      stream.end();
    };
    const made = wrap(handler, named('inner', log));
    const server = await start(one => mount(one, definition, { stream: made }, quiet, named('outer', log)));
    expect((await server.call()).messages).to.deep.equal(['first']);
    expect(log).to.deep.equal(['outer made', 'inner made', 'inner ended', 'outer ended']);
  });

  it('knows the sizes of what produce() made', async () => {
    const server = await start(
      one => mount(one, definition, { stream: produce(() => ['x'.repeat(50)]) }, quiet),
      {
        'grpc.max_send_message_length': 20,
      },
    );
    expect((await server.call()).details).to.equal(
      `the message at index 0 of ${path} has 52 bytes, and 20 may be sent`,
    );
  });

  it('calls a wrapped handler with `this` being the object it stands in', async () => {
    const sources = {
      word: 'first',
      stream: wrap(function (this: { word: string }, stream: any) {
        stream.write(this?.word);
        stream.end();
      } as Handler),
    };
    Object.defineProperty(sources, 'word', { enumerable: false });
    const server = await start(one => mount(one, definition, sources, quiet));
    expect((await server.call()).messages).to.deep.equal(['first']);
  });

  it('takes a made handler for two services, each with its own middleware', async () => {
    const log: string[] = [];
    const made = produce(() => ['first'], named('inner', log));
    for (const name of ['a', 'b']) {
      const server = await start(one => mount(one, definition, { stream: made }, named(name, log)));
      await server.call();
    }
    expect(log.filter(line => line.endsWith('made'))).to.deep.equal([
      'a made',
      'inner made',
      'b made',
      'inner made',
    ]);
  });
}

function otherKinds(): void {
  it('serves methods of all kinds, with `this`', async () => {
    const log: string[] = [];
    const service = new (class {
      readonly word = 'hello';
      *stream() {
        yield `${this.word}, stream`;
      }
      unary(request: string) {
        return `${this.word}, ${request}`;
      }
      async upload(requests: Requests<string>) {
        const all: string[] = [];
        for await (const request of requests) all.push(request);
        return `${this.word}, ${all}`;
      }
      async *chat(requests: Requests<string>) {
        for await (const request of requests) yield `${this.word}, ${request}`;
      }
    })();
    const server = await start(one => mount(one, everyKind, service, quiet, named('middleware', log)));
    const { client } = server;
    expect((await server.call()).messages).to.deep.equal(['hello, stream']);
    const { path: unary } = everyKind.unary;
    expect(
      await new Promise((resolve, reject) =>
        client.makeUnaryRequest(unary, serialize, deserialize, 'you', (error, reply) =>
          error ? reject(error) : resolve(reply),
        ),
      ),
    ).to.equal('hello, you');
    expect(
      await new Promise((resolve, reject) => {
        const call = client.makeClientStreamRequest(
          everyKind.upload.path,
          serialize,
          deserialize,
          (error, reply) => (error ? reject(error) : resolve(reply)),
        );
        for (const message of [1, 2]) call.write(message);
        call.end();
      }),
    ).to.equal('hello, 1,2');
    const chat = client.makeBidiStreamRequest(everyKind.chat.path, serialize, deserialize);
    for (const message of [1, 2]) chat.write(message);
    chat.end();
    const said: unknown[] = [];
    for await (const message of chat) said.push(message);
    expect(said).to.deep.equal(['hello, 1', 'hello, 2']);
    const once = ['middleware made', 'middleware ended'];
    expect(log, 'each has its layers').to.deep.equal([...once, ...once, ...once, ...once]);
  });

  it('takes them marked as plain, where the definition does not tell the kinds apart', async () => {
    const service = everyKind as unknown as {
      unary: Omit<MethodDefinition<string, string>, 'x'>;
    };
    const handler = function (this: unknown, call: any, done: any) {
      done(null, `plain ${call.request}`);
      expect(this).to.equal(sources);
    };
    const sources = { unary: plain(handler) };
    const server = await start(one => mount(one, service, sources));
    const reply = await new Promise((resolve, reject) =>
      server.client.makeUnaryRequest(everyKind.unary.path, serialize, deserialize, 'you', (error, value) =>
        error ? reject(error) : resolve(value),
      ),
    );
    expect(reply).to.equal('plain you');
  });

  it('leaves a handler that was marked as plain as it was, also for a server stream elsewhere', async () => {
    const handler: Handler = stream => stream.end();
    const before = Reflect.ownKeys(handler);
    const marked = plain(handler);
    expect(Reflect.ownKeys(handler)).to.deep.equal(before);
    for (const stream of [wrap(handler), wrap(marked as unknown as Handler)]) {
      const server = await start(one => mount(one, definition, { stream }, quiet));
      expect((await server.call()).code).to.equal(status.OK);
    }
  });

  it('takes what wrap() made of an implementation that has methods of every kind', async () => {
    const wrapped = wrap({ unary: (call: any, done: any) => done(null, `wrapped ${call.request}`) }, quiet);
    const server = await start(one => mount(one, everyKind, wrapped as never));
    const reply = await new Promise((resolve, reject) =>
      server.client.makeUnaryRequest(everyKind.unary.path, serialize, deserialize, 'you', (error, value) =>
        error ? reject(error) : resolve(value),
      ),
    );
    expect(reply).to.equal('wrapped you');
  });
}

function encoding(): void {
  /** The definition of the harness, with a count of how often each message is encoded. */
  const counting = () => {
    const encoded = new Map<unknown, number>();
    let calls = 0;
    return {
      encoded,
      calls: () => calls,
      service: {
        stream: {
          ...definition.stream,
          responseSerialize(message: unknown) {
            calls += 1;
            encoded.set(message, (encoded.get(message) ?? 0) + 1);
            return serialize(message);
          },
        },
      },
    };
  };

  it('encodes a broadcast message once for 100 streams', async () => {
    const { service, encoded, calls } = counting();
    const gate = deferred();
    const updates = [broadcast({ update: 1 }), broadcast({ update: 2 })];
    let waiting = 0;
    const server = await start(one =>
      mount(one, service, {
        async *stream() {
          waiting += 1;
          if (waiting === 100) gate.resolve();
          await gate.promise;
          yield* updates;
          yield { own: true };
        },
      }),
    );
    const replies = await Promise.all(Array.from({ length: 100 }, () => server.call()));
    for (const { messages } of replies)
      expect(messages).to.deep.equal([{ update: 1 }, { update: 2 }, { own: true }]);
    expect(updates.map(update => encoded.get(update))).to.deep.equal([1, 1]);
    expect(calls()).to.equal(2 + 100);
  });

  it('encodes a broadcast message anew for another method', async () => {
    const first = counting();
    const shout = {
      ...definition.stream,
      responseSerialize: (message: unknown) => serialize(JSON.stringify(message).toUpperCase()),
    };
    const update = broadcast({ update: 'x' });
    const one = await start(server => mount(server, first.service, { stream: () => [update] }));
    const two = await start(server => mount(server, { stream: shout }, { stream: () => [update] }));
    for (let i = 0; i < 3; i++) {
      expect((await one.call()).messages).to.deep.equal([{ update: 'x' }]);
      expect((await two.call()).messages).to.deep.equal(['{"UPDATE":"X"}']);
    }
  });

  it('encodes each message once without broadcast()', async () => {
    const { service, calls } = counting();
    const server = await start(one =>
      mount(one, service, { stream: () => Array.from({ length: 50 }, (_, i) => ({ i })) }),
    );
    expect((await server.call()).messages).to.have.length(50);
    expect(calls()).to.equal(50);
  });

  const replacing: Record<string, (message: any) => unknown> = {
    'another message': message => ({ replaced: message.i }),
    'the same message, changed in place': message => {
      message.replaced = message.i;
      return message;
    },
    'always the same message': () => ({ one: 'for all' }),
  };
  for (const [what, replace] of Object.entries(replacing)) {
    const meddlers: Record<string, ServerInterceptor> = {
      'at once': (_method, call) =>
        new ServerInterceptingCall(call, { sendMessage: (message, next) => next(replace(message)) }),
      later: (_method, call) =>
        new ServerInterceptingCall(call, {
          sendMessage: (message, next) => void setImmediate(() => next(replace(message))),
        }),
      'in a way of its own': (_method, call) =>
        new (class extends ServerInterceptingCall {
          override sendMessage(message: unknown, callback: () => void): void {
            super.sendMessage(replace(message), callback);
          }
        })(call),
    };
    for (const [when, meddle] of Object.entries(meddlers)) {
      it(`encodes what a user's interceptor sends instead: ${what}, ${when}`, async () => {
        for (const on of mountNames) {
          const server = await serve(on, () => Array.from({ length: 5 }, (_, i) => ({ i })), [], {
            interceptors: [meddle],
          });
          expect((await server.call()).messages, on).to.deep.equal(
            Array.from({ length: 5 }, (_, i) => replace({ i })),
          );
        }
      });
    }
  }

  for (const [name, interceptors] of Object.entries(delayed)) {
    it(`sends a message as it was when it was yielded, though its object is used again, ${name}`, async () => {
      const expected = Array.from({ length: 20 }, (_, i) => ({ i }));
      const ways: Record<string, AnySource> = {
        async *asynchronous() {
          const message = { i: 0 };
          for (message.i = 0; message.i < 20; message.i++) yield message;
        },
        *synchronous() {
          const message = { i: 0 };
          for (message.i = 0; message.i < 20; message.i++) yield message;
        },
      };
      for (const [way, source] of Object.entries(ways)) {
        const twice: Middleware = (_call, next) => ({
          message(message) {
            next.message('before');
            next.message(message);
          },
        });
        for (const middleware of [
          [],
          [configure({ maxUnackedMessages: 1 })],
          [configure({ maxUnackedBytes: 5 })],
        ]) {
          const server = await start(
            one => mount(one, definition, { stream: source }, quiet, ...middleware),
            { interceptors: interceptors() },
          );
          expect((await server.call()).messages, way).to.deep.equal(expected);
        }
        const server = await start(
          one =>
            mount(one, definition, { stream: source }, quiet, twice, configure({ maxUnackedMessages: 1 })),
          { interceptors: interceptors() },
        );
        expect((await server.call()).messages, `${way}, twice`).to.deep.equal(
          expected.flatMap(message => ['before', message]),
        );
      }
    });
  }

  it('sends one object to many calls, each as it was when that call yielded it', async () => {
    const shared = { call: 0, i: 0 };
    const source: AnySource = async function* ({ call }) {
      for (let i = 0; i < 20; i++) {
        Object.assign(shared, { call, i });
        yield shared;
        if (i % 3 === 0) await turn();
      }
    };
    const server = await start(one => mount(one, definition, { stream: source }, quiet));
    const replies = await Promise.all(Array.from({ length: 10 }, (_, call) => server.call({ call })));
    replies.forEach(({ messages }, call) => {
      expect(messages).to.deep.equal(Array.from({ length: 20 }, (_, i) => ({ call, i })));
    });
  });

  it('says which message could not be encoded, and sends those before it', async () => {
    const server = await start(one =>
      mount(one, definition, { stream: () => ['first', { bad: 5n }, 'never'] }, quiet),
    );
    const { code, details, messages } = await server.call();
    expect({ code, details, messages }).to.deep.equal({
      code: status.INTERNAL,
      details: `the message at index 1 of ${path} could not be serialised`,
      messages: ['first'],
    });
    expect((await server.call()).code, 'the next call').to.equal(status.INTERNAL);
  });
}

/** All messages of a server-streaming method of any definition. */
async function list(client: Client, one: MethodDefinition<any, any>, request: unknown): Promise<unknown[]> {
  const stream = client.makeServerStreamRequest(
    one.path,
    one.requestSerialize,
    one.responseDeserialize,
    request,
    new Metadata(),
  );
  const messages: unknown[] = [];
  for await (const message of stream) messages.push(message);
  return messages;
}
