import * as grpc from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import * as other from 'grpc-js-oldest';
import { subscribe } from '../../lib/client/index.ts';
import { all, failure, thrown } from '../sources/tools.ts';
import { definition, path, start, stopAll, until } from '../support/harness.ts';
import { opener, range, type Service, send, serve } from './service.ts';

const WAY_OUT =
  "give `client, 'method'`, or `(request, metadata, options) => client.method(request, metadata, options)`";
const quick = { backoff: () => 1 } as const;
const token = ({ number }: { number: number }) => number;
const after = (call: Service['calls'][number]) => Number(call.metadata.get('last-event-id')[0] ?? 0);

/** Sends 1 to 6, in two attempts if the client resumes. */
const sixNumbers = () =>
  serve(call => {
    if (after(call) === 0) send(call, [1, 2, 3], status.UNAVAILABLE);
    else send(call, range(after(call) + 1, 6), status.OK);
  });

describe('the `open` of subscribe()', () => {
  afterEach(stopAll);

  describe('for a client of another copy of grpc-js', () => {
    const clients: grpc.Client[] = [];
    afterEach(() => {
      for (const client of clients.splice(0)) client.close();
    });

    function foreign(port: number, options: object = {}): grpc.Client {
      expect(other.Metadata).not.to.equal(grpc.Metadata);
      const client = new other.Client(`127.0.0.1:${port}`, other.credentials.createInsecure(), options);
      clients.push(client as never);
      return client as never;
    }

    it('sends the token and the deadline, and makes no other call', async () => {
      const { port, calls } = await sixNumbers();
      const stream = subscribe(opener(foreign(port)), {}, { ...quick, token, deadline: Date.now() + 60_000 });
      expect((await all(stream)).map(token)).to.deep.equal(range(1, 6));
      expect(calls.map(after)).to.deep.equal([0, 3]);
      for (const call of calls) expect(Number(call.getDeadline()) - Date.now()).to.be.within(30_000, 60_000);
    });

    it('sends the token that it begins after, and the metadata of either copy, with its options', async () => {
      const { port, calls } = await serve(call => send(call, [9], status.OK));
      for (const { Metadata } of [grpc, other]) {
        const metadata = new Metadata({ waitForReady: true });
        metadata.add('x-list', 'one');
        metadata.add('x-list', 'two');
        metadata.add('x-bytes-bin', Buffer.from([0, 255]));
        let options: unknown;
        const client = foreign(port, {
          interceptors: [
            (given: any, next: any) =>
              new other.InterceptingCall(next(given), {
                start(sent, listener, go) {
                  options = sent.getOptions();
                  go(sent, listener);
                },
              }),
          ],
        });
        await all(subscribe(opener(client), {}, { token, after: 8, metadata: metadata as never }));
        expect(options).to.deep.equal({ waitForReady: true });
      }
      expect(calls.map(after)).to.deep.equal([8, 8]);
      for (const { metadata } of calls) {
        expect(metadata.get('x-list')).to.deep.equal(['one, two']);
        expect(metadata.get('x-bytes-bin')).to.deep.equal([Buffer.from([0, 255])]);
      }
    });

    it('takes metadata of another copy for a client of this one', async () => {
      const { open, calls } = await serve(call => send(call, [9], status.OK));
      const metadata = new other.Metadata();
      metadata.set('x-tenant', 'a');
      await all(subscribe(open, {}, { metadata: () => metadata as never, after: 8 }));
      expect(calls.map(call => [after(call), call.metadata.get('x-tenant')[0]])).to.deep.equal([[8, 'a']]);
    });

    it('leaves its interceptors where they are', async () => {
      const { port, calls } = await sixNumbers();
      let intercepted = 0;
      const client = foreign(port, {
        interceptors: [
          (options: any, next: any) => {
            intercepted += 1;
            return new other.InterceptingCall(next(options));
          },
        ],
      });
      await all(subscribe(opener(client), {}, { ...quick, token }));
      expect([intercepted, calls.length]).to.deep.equal([2, 2]);
    });
  });

  describe('is refused, with the way out, when it is', () => {
    it('a method without its client', async () => {
      const Client = grpc.makeGenericClientConstructor(definition, 'Service');
      const { port, calls } = await serve(call => send(call, [1], status.OK));
      const client: any = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
      expect(thrown(() => subscribe(client.stream, {})))
        .to.be.instanceOf(TypeError)
        .with.property(
          'message',
          'Expected `open` to call a method, got the method `/spec.Service/Stream` itself, which does not know its ' +
            `client: ${WAY_OUT}`,
        );
      expect(await all(subscribe(client.stream.bind(client), {}))).to.deep.equal([{ number: 1 }]);
      client.close();
      expect(calls).to.have.length(1);
    });

    it('a method of a class, without its client', async () => {
      class Client {
        client = 'a grpc client';
        list(): never {
          return this.client as never;
        }
      }
      const { error } = await failure(subscribe(new Client().list, {}));
      expect(error).to.be.instanceOf(TypeError);
      expect(error.message).to.include('not to need `this`, it reads `client` of it: give `client,');
    });

    it('a class of clients, and no client', () => {
      const Clients = grpc.makeClientConstructor({}, 'Clients');
      for (const given of [Clients, class Clients {}])
        expect(thrown(() => subscribe(given as never, 'list' as never, {} as never)).message).to.match(
          /^Expected `open` to be a function, not a class, got `\w+` \(function\): give `client, 'method'`, .* where `client` is an instance$/,
        );
    });

    it('no function', () => {
      expect(thrown(() => subscribe('list' as never, {})).message).to.equal(
        `Expected \`open\` to be a function, got \`list\` (string): ${WAY_OUT}`,
      );
      expect(thrown(() => subscribe({} as never, {})).message).to.equal(
        'Expected `method` to be the name of a server-streaming method of the client, got `Object` (object): it has none',
      );
    });
  });

  describe('is refused, and what it opened is ended, when it returns', () => {
    const kinds = {
      unary: { ...definition.stream, path: '/spec.Service/Unary', responseStream: false },
      upload: { ...definition.stream, path: '/spec.Service/Up', requestStream: true, responseStream: false },
      chat: { ...definition.stream, path: '/spec.Service/Chat', requestStream: true },
      stream: definition.stream,
    };
    const open: Record<
      string,
      [string, (client: any, request: any, metadata: any, options: any) => unknown]
    > = {
      nothing: [
        'is a `return` missing?',
        (client, ...args) => void client.stream(...args).on('error', () => {}),
      ],
      'a promise': ['`open` is not waited for', async (client, ...args) => client.stream(...args)],
      'a promise that rejects': ['`open` is not waited for', () => Promise.reject(new Error('mine'))],
      'a unary call': ['a method with a single answer', (client, ...args) => client.unary(...args, () => {})],
      'an upload': [
        'a method with a single answer',
        (client, _, ...args) => client.upload(...args, () => {}),
      ],
      'a duplex': ['its client streams too', (client, _, ...args) => client.chat(...args)],
      'a duplex that takes the request for metadata': [
        'its client streams',
        (client, ...args) => client.chat(...args),
      ],
      'an async iterable': ['it takes a client of grpc-js', async function* () {}],
      null: ['it takes a client of grpc-js', () => null],
    };
    for (const [what, [hint, opens]] of Object.entries(open))
      it(what, async () => {
        let live = 0;
        const held = (call: any) => {
          call.on('error', () => {});
          live += 1;
          call.on('cancelled', () => {
            live -= 1;
          });
        };
        const { port } = await start(server =>
          server.addService(kinds as never, { unary: held, upload: held, chat: held, stream: held } as never),
        );
        const Client = grpc.makeGenericClientConstructor(kinds as never, 'Service');
        const client = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
        const { error } = await failure(
          subscribe((...args) => opens(client, ...args) as never, {}, { deadline: Date.now() + 60_000 }),
        );
        expect(error).to.be.instanceOf(TypeError);
        expect(error.message).to.match(/^Expected `open\(\)` to be a ClientReadableStream, got /);
        expect(error.message).to.include(hint);
        await new Promise(resolve => setTimeout(resolve, 20));
        await until('all ended', () => live === (what === 'nothing' ? 1 : 0));
        client.close();
      });

    it('nothing yet, for want of a callback', async () => {
      const Client = grpc.makeGenericClientConstructor(kinds as never, 'Service');
      const client: any = new Client('127.0.0.1:1', grpc.credentials.createInsecure());
      const { error } = await failure(subscribe((...args) => client.unary(...args), {}));
      expect(error).to.be.instanceOf(TypeError);
      expect(error.message).to.include('to call a server-streaming method, got one with a single answer');
      client.close();
    });

    it('the same stream again', async () => {
      const { open, calls } = await serve(call => send(call, [1], status.UNAVAILABLE));
      let stream: any;
      const once = (...args: Parameters<typeof open>) => {
        stream ??= open(...args);
        return stream;
      };
      const { items, error } = await failure(subscribe(once, {}, quick));
      expect(items).to.deep.equal([{ number: 1 }]);
      expect(error.message).to.include('it was returned before');
      expect(calls).to.have.length(1);
    });
  });

  it('may be a duplex that has said all it has to say', async () => {
    const chat = { ...definition.stream, requestStream: true };
    const { client } = await start(server =>
      server.addService({ chat } as never, {
        chat: (call: any) => call.on('data', ({ max }: any) => send(call, range(1, max), status.OK)),
      }),
    );
    const stream = subscribe(
      (request, metadata, options) => {
        const { requestSerialize, responseDeserialize } = definition.stream;
        const call = client.makeBidiStreamRequest(
          path,
          requestSerialize,
          responseDeserialize,
          metadata,
          options,
        );
        call.end(request);
        return call;
      },
      { max: 3 },
    );
    expect(await all(stream)).to.have.length(3);
  });

  describe("given as a client and a method's name", () => {
    const Client = grpc.makeGenericClientConstructor(
      {
        ...definition,
        Upload: {
          ...definition.stream,
          path: '/spec.Service/Upload',
          requestStream: true,
          responseStream: false,
        },
      } as never,
      'Service',
    );
    const clientOf = (port: number) =>
      new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure()) as unknown as grpc.Client & {
        stream(request: object, metadata: grpc.Metadata): grpc.ClientReadableStream<{ number: number }>;
      };

    it('is called on its client, with token and all', async () => {
      const { port, calls } = await sixNumbers();
      const client = clientOf(port);
      const stream = subscribe(client, 'stream', {}, { ...quick, token });
      expect((await all(stream)).map(token)).to.deep.equal(range(1, 6));
      expect(calls.map(after)).to.deep.equal([0, 3]);
      client.close();
    });

    it('is refused when the client has no such stream, with the nearest name', () => {
      const client = clientOf(1);
      for (const [name, sentence] of [
        ['streem', 'got `streem` (string): did you mean `stream`?'],
        ['nothingLikeIt', 'it has stream'],
        ['Upload', 'to be one that a server streams, and its client does not'],
        [undefined, 'got `undefined`'],
        [5, 'got `5` (number)'],
        ['close', 'got `close` (string)'],
        ['constructor', 'got `constructor` (string)'],
        ['toString', 'got `toString` (string)'],
        ['makeServerStreamRequest', 'got `makeServerStreamRequest` (string)'],
      ] as const)
        expect(() => subscribe(client, name as never, {} as never)).to.throw(TypeError, sentence);
      client.close();
    });
  });

  describe('whose stream somebody else destroys', () => {
    /** A server that goes on for ever, and a client whose stream is destroyed once its first message is here. */
    async function destroying(destroy: (stream: grpc.ClientReadableStream<unknown>) => void) {
      const { open, calls } = await serve(call => send(call, [1]));
      const opened: grpc.ClientReadableStream<unknown>[] = [];
      const stream = subscribe<object, { number: number }>((request, metadata, options) => {
        opened.push(open(request, metadata, options));
        return opened.at(-1) as never;
      }, {});
      const { value } = await stream.next();
      expect(value).to.deep.equal({ number: 1 });
      const next = failure(stream);
      destroy(opened[0] as never);
      return { ...(await next), calls };
    }

    const destroyed: Record<string, [error: Error | undefined, details: string]> = {
      'with nothing': [undefined, 'the stream was closed before it ended'],
      'with an error': [new Error('mine'), 'mine'],
      'with one of Node, which has a text for a code': [
        AbortSignal.abort().reason,
        'This operation was aborted',
      ],
      'with one that has what is no code': [
        Object.assign(new Error('mine'), { code: 17, details: 5, metadata: 5 }),
        'mine',
      ],
    };
    for (const [how, [error, details]] of Object.entries(destroyed))
      it(`ends with a legal status, and cancels the call: ${how}`, async () => {
        const ended = await destroying(stream => stream.destroy(error));
        expect(ended.error).to.include({ code: status.UNKNOWN, details, reason: 'code' });
        expect(ended.error.cause).to.equal(error);
        expect(ended.error.metadata).to.be.instanceOf(grpc.Metadata);
        expect(ended.calls).to.have.length(1);
        await until('the server hears of it', () => ended.calls[0]?.cancelled === true);
      });
  });
});
