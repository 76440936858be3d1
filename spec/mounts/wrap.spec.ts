import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  Client,
  credentials,
  type handleUnaryCall,
  Metadata,
  type ServerWritableStream,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js';
import { expect } from 'chai';
import { configure, counters, type Middleware, produce, StatusError, wrap } from '../../lib/index.ts';
import {
  deferred,
  definition,
  type Handler,
  path,
  quiet,
  type Running,
  start,
  stopAll,
  turn,
  until,
} from '../support/harness.ts';
import { settled, watcher } from '../support/observe.ts';
import { type Exchange, Peer, stalledPeer } from '../support/peer.ts';

type AnyCall = ServerWritableStream<any, any>;

/** All that a client receives of a call, but for the time of day. */
function golden({ header, trailer, payload }: Exchange): object {
  const { date: _, ...rest } = header ?? {};
  const { date: __, ...last } = trailer ?? {};
  return { header: Object.entries(rest), trailer: Object.entries(last), payload: payload().toString('hex') };
}

function serveOne(handler: Handler): Promise<Running> {
  return start(server => server.addService(definition, { stream: handler }));
}

/** Runs a handler bare, then wrapped, and answers what each time came of it. */
async function bothWays<T>(
  handler: Handler,
  run: (server: Running) => Promise<T>,
): Promise<[bare: T, ours: T]> {
  const bare = await run(await serveOne(handler));
  const ours = await run(await serveOne(wrap(handler, quiet)));
  return [bare, ours];
}

function metadata(entries: Record<string, string | Buffer>): Metadata {
  const result = new Metadata();
  for (const [key, value] of Object.entries(entries)) result.set(key, value);
  return result;
}

/** Fails with a status, the way grpc-js documents. */
const refusal = Object.assign(new Error('no such job'), {
  code: status.NOT_FOUND,
  details: 'no such job',
  metadata: metadata({ 'x-job': '7' }),
});

const drained = (call: AnyCall) => new Promise(resolve => call.once('drain', resolve));

/** Handlers that do nothing wrong, as people write them. */
const correct: Record<string, Handler> = {
  'writes and ends': call => {
    for (let i = 0; i < 10; i++) call.write({ i });
    call.end();
  },
  'ends without a message': call => {
    call.end();
  },
  'ends with trailers': call => {
    call.write(1);
    call.end(
      metadata({ 'x-trailer': 'ü'.codePointAt(0)?.toString() ?? '', 'x-some-bin': Buffer.from([0, 255]) }),
    );
  },
  'ends with trailers and no message': call => {
    call.end(metadata({ 'x-trailer': 't' }));
  },
  'sends metadata first': call => {
    const header = metadata({ 'x-header': 'h', 'x-some-bin': Buffer.from([0, 1, 2]) });
    header.add('x-header', 'second');
    call.sendMetadata(header);
    call.write('a');
    call.end();
  },
  'sends metadata and no message': call => {
    call.sendMetadata(metadata({ 'x-header': 'h' }));
    call.end();
  },
  'sends metadata too late': call => {
    call.write('a');
    call.sendMetadata(metadata({ 'x-header': 'late' }));
    call.end();
  },
  'fails at once': call => {
    call.emit('error', refusal);
  },
  'fails after messages': call => {
    for (let i = 0; i < 10; i++) call.write({ i });
    call.emit('error', refusal);
  },
  'fails after metadata': call => {
    call.sendMetadata(metadata({ 'x-header': 'h' }));
    call.emit('error', refusal);
  },
  'fails with a code and a message': call => {
    call.write(1);
    call.emit('error', { code: status.ABORTED, message: 'enough' } as never);
  },
  'waits for drain': async call => {
    for (let i = 0; i < 3000; i++) if (!call.write({ i, text: 'x'.repeat(i % 100) })) await drained(call);
    call.end();
  },
  'does not wait for drain': call => {
    for (let i = 0; i < 3000; i++) call.write({ i });
    call.end();
  },
  'writes large messages': async call => {
    for (let i = 0; i < 5; i++) if (!call.write('x'.repeat(100_000))) await drained(call);
    call.end();
  },
  'waits for each callback': async call => {
    for (let i = 0; i < 50; i++) await new Promise(resolve => call.write({ i }, resolve));
    call.end();
  },
  'takes its time': async call => {
    for (let i = 0; i < 20; i++) {
      await turn();
      call.write({ i });
    }
    await turn();
    call.end();
  },
  'corks and uncorks': call => {
    call.cork();
    for (let i = 0; i < 10; i++) call.write({ i });
    process.nextTick(() => {
      call.uncork();
      call.end();
    });
  },
  'pipes a Readable': call => {
    Readable.from(Array.from({ length: 500 }, (_, i) => ({ i }))).pipe(call);
  },
  'runs a pipeline': async call => {
    await pipeline(Readable.from(Array.from({ length: 500 }, (_, i) => ({ i }))), call);
  },
};

const events = ['pipe', 'unpipe', 'drain', 'prefinish', 'finish', 'cancelled', 'error', 'close'];

/** Writes down what a handler hears. */
function listening(log: string[], handler: Handler): Handler {
  return call => {
    for (const event of events) call.on(event, () => log.push(event));
    return handler(call);
  };
}

describe('wrap()', () => {
  afterEach(stopAll);

  describe('W1 the client receives the same bytes from a handler that', () => {
    for (const [what, handler] of Object.entries(correct))
      it(what, async () => {
        const [bare, ours] = await bothWays(handler, async server => {
          const exchange = new Peer(server.port).open({ max: 3 });
          await exchange.closed;
          return golden(exchange);
        });
        expect(ours).to.deep.equal(bare);
      });
  });

  it('W2 leaves `this`, the request and all that can be asked of a call as they are', async () => {
    const [bare, ours] = await bothWays(
      function (this: unknown, call) {
        call.write({
          isImplementation: Object.keys(this as object),
          request: call.request,
          metadata: call.metadata.toJSON(),
          peer: call.getPeer().replace(/\d+$/, 'port'),
          deadline: Number.isFinite(Number(call.getDeadline())),
          path: call.getPath(),
          host: call.getHost().replace(/\d+$/, 'port'),
          auth: call.getAuthContext(),
          metrics: typeof call.getMetricsRecorder(),
          cancelled: call.cancelled,
          highWaterMark: call.writableHighWaterMark,
          objectMode: call.writableObjectMode,
          writable: call.writable,
          isStream: call instanceof (Object.getPrototypeOf(call).constructor as never),
        });
        call.end();
      },
      async server => {
        const given = metadata({ 'x-given': 'g' });
        return (await server.call({ max: 7 }, { metadata: given, deadline: Date.now() + 60_000 })).messages;
      },
    );
    expect(bare).to.have.length(1);
    expect(ours).to.deep.equal(bare);
  });

  describe('W3 a handler hears the same events in the same order when', () => {
    const hears = async (handler: Handler, act: (server: Running, log: string[]) => Promise<unknown>) => {
      const logs: string[][] = [];
      for (const mounted of [(given: Handler) => given, (given: Handler) => wrap(given, quiet)]) {
        const log: string[] = [];
        const server = await serveOne(mounted(listening(log, handler)));
        await act(server, log);
        await until('the call is closed', () => log.includes('close'));
        await settled();
        logs.push(log);
      }
      return logs as [bare: string[], ours: string[]];
    };
    const finishes = (server: Running) => server.call({}, {});

    it('it ends with OK', async () => {
      const [bare, ours] = await hears(call => {
        call.write(1);
        call.end();
      }, finishes);
      expect(ours).to.deep.equal(bare);
    });

    it('it ends without a message', async () => {
      const [bare, ours] = await hears(call => void call.end(), finishes);
      expect(ours).to.deep.equal(bare);
    });

    it('it fails', async () => {
      const [bare, ours] = await hears(call => {
        call.write(1);
        call.emit('error', refusal);
      }, finishes);
      expect(ours).to.deep.equal(bare);
    });

    it('it pipes', async () => {
      const [bare, ours] = await hears(call => void Readable.from([1, 2, 3]).pipe(call), finishes);
      expect(closedLast(ours)).to.deep.equal(closedLast(bare));
    });

    it('its client cancels', async () => {
      const [bare, ours] = await hears(
        call => void call.write(1),
        server => {
          const calling = server.open();
          calling.stream.once('data', () => calling.cancel());
          return calling.reply;
        },
      );
      expect(bare).to.deep.equal(['cancelled', 'close']);
      expect(ours).to.deep.equal(bare);
    });

    it('its client is gone', async () => {
      const [bare, ours] = await hears(
        call => void call.write(1),
        async server => {
          const peer = new Peer(server.port);
          const exchange = peer.open();
          await until('a message came', () => exchange.messages().length > 0);
          peer.resetTcp();
        },
      );
      expect(ours).to.deep.equal(bare);
    });

    it('it waits for drain, many times', async () => {
      const [bare, ours] = await hears(async call => {
        for (let i = 0; i < 100; i++) if (!call.write('x'.repeat(1000))) await drained(call);
        call.end();
      }, finishes);
      // Ours takes many messages where grpc-js takes one, so that there is less to wait for.
      const others = (log: string[]) => closedLast(log.filter(event => event !== 'drain'));
      expect(others(ours)).to.deep.equal(others(bare));
    });

    /** From Node 22 on, `close` comes the later the more writes the Writable had to answer: before `cancelled`, or after. */
    const closedLast = (log: string[]) => [
      ...log.filter(event => event !== 'close'),
      ...log.filter(event => event === 'close'),
    ];
  });

  it('W3 absorbs and counts what comes too late, and answers callbacks', async () => {
    const heard: unknown[] = [];
    const { lateMessages, lateEnds } = counters();
    const server = await serveOne(
      wrap(call => {
        call.on('error', error => heard.push(error));
        call.end();
        heard.push(call.write('late', (error: unknown) => heard.push((error as Error).message)));
        call.end();
      }, quiet),
    );
    const { code, messages } = await server.call();
    await settled();
    expect({ code, messages }).to.deep.equal({ code: 0, messages: [] });
    expect(heard).to.deep.equal([false, 'the call is over']);
    expect(counters().lateMessages - lateMessages).to.equal(1);
    expect(counters().lateEnds - lateEnds).to.equal(1);
  });

  describe('W4 a handler that forgets the end is ended when', () => {
    const failures: Record<string, Handler> = {
      'it throws': call => {
        call.write(1);
        throw new Error('canary');
      },
      'it rejects': async call => {
        call.write(1);
        await turn();
        throw new Error('canary');
      },
      'it destroys its call': call => {
        call.write(1);
        call.destroy();
      },
      'it destroys its call with an error': call => {
        call.write(1);
        call.destroy(new Error('canary'));
      },
      'its pipeline fails': async call => {
        const source = Readable.from(
          (async function* () {
            yield 1;
            await settled(2);
            throw new Error('canary');
          })(),
        );
        await pipeline(source, call);
      },
    };
    for (const [what, handler] of Object.entries(failures))
      it(what, async () => {
        const errors: unknown[] = [];
        const seen = watcher();
        const hear = configure({ onError: error => void errors.push(error) });
        const server = await serveOne(wrap(handler, hear, seen.middleware));
        const { code, details, messages } = await server.call();
        await settled();
        expect({ code, details, messages }).to.deep.equal({
          code: 2,
          details: 'internal error',
          messages: [1],
        });
        expect(errors).to.have.length(1);
        expect(seen.outcomes.map(({ reason }) => reason)).to.deep.equal(['error']);
      });

    it('it throws a status', async () => {
      for (const handler of [
        () => {
          throw new StatusError(status.NOT_FOUND, 'no such job');
        },
        async () => {
          throw new StatusError(status.NOT_FOUND, 'no such job');
        },
      ]) {
        const { code, details } = await (await serveOne(wrap(handler, quiet))).call();
        expect({ code, details }).to.deep.equal({ code: 5, details: 'no such job' });
      }
    });
  });

  describe('a Readable piped into a call', () => {
    const endless = () => {
      let i = 0;
      return new Readable({
        objectMode: true,
        read() {
          this.push({ i: i++ });
        },
      });
    };

    it('stops with a client that does not read', async () => {
      const seen = watcher();
      const server = await serveOne(
        wrap(call => void endless().pipe(call), configure({ maxUnackedMessages: 8 }), seen.middleware),
      );
      const exchange = stalledPeer(server.port).open();
      await until('the window is full', () => seen.messages.length === 8);
      await settled(10);
      expect(seen.messages).to.have.length(8);
      exchange.reset();
      await until('the call is over', () => seen.outcomes.length > 0);
    });

    it('is destroyed by its pipeline when the client cancels', async () => {
      const log: string[] = [];
      const readable = endless();
      const server = await serveOne(
        wrap(async call => {
          await pipeline(readable, call).catch(error =>
            log.push((error as NodeJS.ErrnoException).code ?? ''),
          );
        }, quiet),
      );
      const exchange = stalledPeer(server.port).open();
      await until('the pipe is full', () => readable.readableFlowing === false || readable.isPaused());
      exchange.reset();
      await until('the pipeline is over', () => log.length > 0);
      expect(log).to.deep.equal(['ERR_STREAM_PREMATURE_CLOSE']);
      expect(readable.destroyed).to.equal(true);
    });

    it('is destroyed by its pipeline when a layer ends the call', async () => {
      const log: string[] = [];
      const readable = endless();
      const enough: Middleware = (call, next) => ({
        message(message) {
          next.message(message);
          if (message.i === 3) call.end({ code: 8, details: 'enough', reason: 'limit' });
        },
      });
      const server = await serveOne(
        wrap(
          async call => {
            await pipeline(readable, call).catch(error =>
              log.push((error as NodeJS.ErrnoException).code ?? ''),
            );
          },
          quiet,
          enough,
        ),
      );
      const { code, messages } = await server.call();
      await until('the pipeline is over', () => log.length > 0);
      expect({ code, count: messages.length }).to.deep.equal({ code: 8, count: 4 });
      expect(log).to.deep.equal(['ERR_STREAM_PREMATURE_CLOSE']);
      expect(readable.destroyed).to.equal(true);
    });
  });

  describe('W5 an implementation', () => {
    const unary = { ...definition.stream, path: '/spec.Service/Unary', responseStream: false } as const;
    const upload = { ...unary, path: '/spec.Service/Upload', requestStream: true } as const;
    const both = { ...definition.stream, path: '/spec.Service/Both', requestStream: true } as const;
    const service = { ...definition, unary, upload, both } satisfies ServiceDefinition;

    class Base {
      protected readonly greeting: string = 'hello';

      stream(call: AnyCall): void {
        call.write(`${this.greeting} from ${this.constructor.name}`);
        call.end();
      }

      unary: handleUnaryCall<any, any> = (call, callback) => {
        callback(null, { unary: call.request.max, from: this.greeting });
      };
    }

    class Derived extends Base {
      readonly #secret = 42;
      protected override readonly greeting = 'good day';

      upload(call: any, callback: (error: null, reply: unknown) => void): void {
        let count = 0;
        call.on('data', () => {
          count += 1;
        });
        call.on('end', () => callback(null, { count, secret: this.#secret }));
      }

      both = (call: any): void => {
        call.on('data', (message: unknown) => call.write({ echo: message, secret: this.#secret }));
        call.on('end', () => call.end());
      };

      get ignored(): never {
        throw new Error('a getter is not a method');
      }
    }

    const answers = async (implementation: object) => {
      const server = await start(one => one.addService(service, implementation as never));
      const client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure());
      const { requestSerialize: write, responseDeserialize: read } = definition.stream;
      const reply = (call: (done: (error: unknown, value: unknown) => void) => unknown) =>
        new Promise((resolve, reject) => call((error, value) => (error ? reject(error) : resolve(value))));
      try {
        const streamed = (await server.call()).messages;
        const single = await reply(done =>
          client.makeUnaryRequest(unary.path, write, read, { max: 3 }, done),
        );
        const uploaded = await reply(done => {
          const call = client.makeClientStreamRequest(upload.path, write, read, done);
          call.write(1);
          call.write(2);
          call.end();
        });
        const echoed: unknown[] = [];
        await new Promise(resolve => {
          const call = client.makeBidiStreamRequest(both.path, write, read);
          call.on('data', message => echoed.push(message));
          call.on('status', resolve);
          call.write('a');
          call.end();
        });
        return { streamed, single, uploaded, echoed };
      } finally {
        client.close();
      }
    };

    it('may inherit its methods, have arrow functions, private fields and methods of all kinds', async () => {
      const log: string[] = [];
      const counting: Middleware = call => void log.push(call.path);
      const bare = await answers(new Derived());
      const ours = await answers(wrap(new Derived(), quiet, counting));
      expect(bare).to.deep.equal({
        streamed: ['good day from Derived'],
        single: { unary: 3, from: 'good day' },
        uploaded: { count: 2, secret: 42 },
        echoed: [{ echo: 'a', secret: 42 }],
      });
      expect(ours).to.deep.equal(bare);
      expect(log).to.deep.equal([path, unary.path, upload.path, both.path]);
    });

    it('may hold handlers that are wrapped, and sources', async () => {
      const log: string[] = [];
      const named =
        (name: string): Middleware =>
        () =>
          void log.push(name);
      const server = await start(one =>
        one.addService(
          { stream: definition.stream, other: { ...definition.stream, path: '/spec.Service/Other' } },
          wrap(
            {
              stream: wrap(((call: AnyCall) => void call.end()) as Handler, named('inner')),
              other: produce(() => [], named('inner')),
            },
            named('outer'),
          ) as never,
        ),
      );
      await server.call();
      const other = new Peer(server.port).open({}, { path: '/spec.Service/Other' });
      await other.closed;
      expect(other.trailer).to.include({ 'grpc-status': '0' });
      expect(log).to.deep.equal(['outer', 'inner', 'outer', 'inner']);
    });
  });

  describe('W6 a handler that is wrapped twice', () => {
    const handler: Handler = async call => {
      for (let i = 0; i < 100; i++) if (!call.write(i)) await drained(call);
      call.end(metadata({ 'x-trailer': 't' }));
    };
    const named =
      (name: string, log: string[]): Middleware =>
      (_call, next) => {
        log.push(`${name} made`);
        return {
          message(message) {
            if (message === 0) log.push(`${name} message`);
            next.message(message);
          },
          end: ({ code, reason }) => void log.push(`${name} end ${code} ${reason}`),
        };
      };

    it('behaves as one that is wrapped once', async () => {
      const results = await Promise.all(
        [handler, wrap(handler, quiet), wrap(wrap(wrap(handler, quiet)))].map(async each => {
          const exchange = new Peer((await serveOne(each)).port).open();
          await exchange.closed;
          return golden(exchange);
        }),
      );
      expect(results[1]).to.deep.equal(results[0]);
      expect(results[2]).to.deep.equal(results[0]);
    });

    it('has the layers of both, the outer ones outside', async () => {
      const log: string[] = [];
      const server = await serveOne(wrap(wrap(handler, named('in', log)), named('out', log)));
      await server.call();
      expect(log).to.deep.equal([
        'out made',
        'in made',
        'in message',
        'out message',
        'in end 0 completed',
        'out end 0 completed',
      ]);
    });

    /** A handler that does its work by another one, which is wrapped as well. */
    const delegating = (inner: Handler, log: string[], ...more: Middleware[]) => {
      const outer: Handler = call => wrap(inner, quiet, named('in', log), ...more)(call);
      return wrap(outer, quiet, named('out', log));
    };

    it('may be so by a handler that hands its call on', async () => {
      const log: string[] = [];
      const server = await serveOne(delegating(handler, log));
      const { code, messages, trailer } = await server.call();
      expect({ code, count: messages.length }).to.deep.equal({ code: 0, count: 100 });
      expect(trailer.get('x-trailer')).to.deep.equal(['t']);
      expect(log).to.deep.equal([
        'out made',
        'in made',
        'in message',
        'out message',
        'in end 0 completed',
        'out end 0 completed',
      ]);
    });

    it('fails once, whichever of the two handlers fails, and however', async () => {
      const enough = new StatusError(status.ABORTED, 'enough');
      const inner: Record<string, Handler> = {
        throws: () => {
          throw enough;
        },
        rejects: async () => {
          throw enough;
        },
        emits: call => void call.emit('error', enough),
        'emits later': call => void setImmediate(() => call.emit('error', enough)),
        destroys: call => void call.destroy(enough),
      };
      for (const [how, handler] of Object.entries(inner)) {
        const log: string[] = [];
        const { code } = await (await serveOne(delegating(handler, log))).call(
          {},
          { deadline: Date.now() + 1000 },
        );
        expect({ how, code }).to.deep.equal({ how, code: status.ABORTED });
        expect(log).to.deep.equal(['out made', 'in made', 'in end 10 error', 'out end 10 error']);
      }
      for (const later of [false, true]) {
        const log: string[] = [];
        const handing: Handler = async call => {
          wrap(() => {}, quiet, named('in', log))(call);
          if (later) await turn();
          throw enough;
        };
        const server = await serveOne(wrap(handing, quiet, named('out', log)));
        const { code } = await server.call({}, { deadline: Date.now() + 1000 });
        expect({ later, code }).to.deep.equal({ later, code: status.ABORTED });
        expect(log).to.deep.equal(['out made', 'in made', 'in end 10 error', 'out end 10 error']);
      }
    });

    it('ends both when the inner one fails, or its client cancels', async () => {
      const log: string[] = [];
      const failing = await serveOne(
        delegating(async () => {
          throw new StatusError(status.ABORTED, 'enough');
        }, log),
      );
      expect((await failing.call()).code).to.equal(status.ABORTED);
      const parked = await serveOne(delegating(call => void call.write(0), log));
      const calling = parked.open();
      calling.stream.once('data', () => calling.cancel());
      await until('both heard of it', () => log.filter(line => line.includes('cancelled')).length === 2);
      expect(log.filter(line => line.includes('end'))).to.have.members([
        'in end 10 error',
        'out end 10 error',
        'in end 1 cancelled',
        'out end 1 cancelled',
      ]);
    });

    it('ends the outer one with its client, after a layer of the inner one ended that', async () => {
      const log: string[] = [];
      let enough: (() => void) | undefined;
      const limited: Middleware = call => {
        enough = () => call.end({ code: 8, details: 'enough', reason: 'limit' });
      };
      const server = await serveOne(delegating(call => void call.write(0), log, limited));
      const exchange = stalledPeer(server.port).open();
      await until('a message is on its way', () => log.includes('out message'));
      enough?.();
      await settled();
      exchange.reset();
      await until('both heard of it', () => log.filter(line => line.includes('end')).length === 2);
      await settled();
      // The reset answers the message that was on its way, so that the outer one may still end as it was told.
      expect(log.map(line => line.split(' ').slice(0, 2).join(' '))).to.deep.equal([
        'out made',
        'in made',
        'in message',
        'out message',
        'in end',
        'out end',
      ]);
    });

    it('ends as a layer of the inner one says', async () => {
      const log: string[] = [];
      const heard: string[] = [];
      const enough: Middleware = (call, next) => ({
        message(message) {
          next.message(message);
          if (message === 3) call.end({ code: 8, details: 'enough', reason: 'limit' });
        },
      });
      const server = await serveOne(delegating(listening(heard, handler), log, enough));
      const { code, details, messages } = await server.call({}, { deadline: Date.now() + 1000 });
      expect({ code, details, messages }).to.deep.equal({
        code: 8,
        details: 'enough',
        messages: [0, 1, 2, 3],
      });
      await settled();
      expect(log.filter(line => line.includes('end'))).to.deep.equal(['in end 8 limit', 'out end 8 limit']);
      expect(heard.filter(event => event === 'cancelled')).to.deep.equal(['cancelled']);
    });
  });

  it('ends with OK when a layer says so before the handler does', async () => {
    const heard: string[] = [];
    const first: Middleware = (call, next) => ({
      message(message) {
        next.message(message);
        call.end({ code: 0, details: 'OK', reason: 'completed' });
      },
    });
    const gate = deferred();
    const server = await serveOne(
      wrap(
        listening(heard, async call => {
          call.write(1);
          await gate.promise;
          call.write(2);
          call.end();
        }),
        quiet,
        first,
      ),
    );
    const { code, messages } = await server.call({}, { deadline: Date.now() + 1000 });
    gate.resolve();
    await settled();
    expect({ code, messages }).to.deep.equal({ code: 0, messages: [1] });
    expect(heard).to.deep.equal(['cancelled', 'close']);
  });
});
