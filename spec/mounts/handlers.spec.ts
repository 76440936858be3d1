import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ServerWritableStream, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import {
  callOf,
  configure,
  counters,
  drain,
  interceptor,
  type Middleware,
  type Outcome,
  StatusError,
  wrap,
} from '../../lib/index.ts';
import { errors } from '../../middleware/errors.ts';
import {
  deferred,
  definition,
  type Handler,
  type Reply,
  type Running,
  start,
  stopAll,
  until,
} from '../support/harness.ts';

type Stream = ServerWritableStream<any, any>;

const HIDDEN = { code: status.UNKNOWN, details: 'internal error' };

describe('a handler under wrap()', () => {
  afterEach(stopAll);

  /** Errors whose `code` is a number from 1 to 16, and no status of gRPC. */
  const codes: Record<string, () => Promise<Error>> = {
    'the exit code of a child process': () =>
      new Promise(resolve =>
        execFile(process.execPath, ['-e', 'process.exit(5)', 'secret'], error => resolve(error as Error)),
      ),
    'the number of a Mongo error': async () =>
      Object.assign(new Error('secret: not authorized'), { code: 13, codeName: 'Unauthorized' }),
    'the legacy code of a DOMException': async () => new DOMException('secret', 'NotFoundError'),
    'the number of a SQLite error': async () => Object.assign(new Error('secret'), { code: 14, errno: 14 }),
  };

  for (const [name, make] of Object.entries(codes)) {
    const ways: Record<string, (error: Error) => Handler> = {
      'thrown by': error => () => {
        throw error;
      },
      'rejected by': error => async () => {
        throw error;
      },
      'destroy() of': error => stream => void stream.destroy(error),
    };
    for (const [way, handler] of Object.entries(ways))
      it(`does not take ${name} for a status, ${way} it`, async () => {
        const error = await make();
        const { call, reports } = await serve(handler(error));
        expect(said(await call())).to.deep.equal(HIDDEN);
        expect(reports, 'is reported, as it was thrown').to.deep.equal([error]);
      });
  }

  for (const name of ['the exit code of a child process', 'the legacy code of a DOMException'])
    it(`does not take ${name} for a status, emitted by it`, async () => {
      const error = await (codes[name] as () => Promise<Error>)();
      const { call, reports } = await serve(stream => void stream.emit('error', error));
      expect(said(await call())).to.deep.equal(HIDDEN);
      expect(reports).to.deep.equal([error]);
    });

  it('gives a status on purpose by emitting one, in each of the forms that grpc-js takes', async () => {
    for (const error of [
      { code: 5, details: 'gone' },
      { code: 5, message: 'gone' },
      Object.assign(new Error('gone'), { code: 5 }),
      Object.assign(new Error('not this'), { code: 5, details: 'gone' }),
      new StatusError(5, 'gone'),
    ]) {
      const { call, outcomes } = await serve(stream => void stream.emit('error', error as Error));
      expect(said(await call())).to.deep.equal({ code: 5, details: 'gone' });
      expect(outcomes[0]?.cause, 'the thing itself is the cause').to.equal(error);
    }
  });

  it('has its errors mapped by class, also those with a code', async () => {
    class Gone extends Error {
      readonly code = 11;
    }
    const fails: Handler[] = [
      () => {
        throw new Gone();
      },
      async () => {
        throw new Gone();
      },
      stream => void stream.emit('error', new Gone('what it was')),
      stream => void stream.destroy(new Gone()),
    ];
    for (const handler of fails) {
      const { call } = await serve(
        handler,
        errors({ rules: [[Gone, { code: status.NOT_FOUND, details: 'mapped' }]] }),
      );
      expect(said(await call())).to.deep.equal({ code: status.NOT_FOUND, details: 'mapped' });
    }
  });

  it('gives the predicates of errors() what was thrown, not a copy', async () => {
    const error = Object.assign(new Error('gone'), { code: 5, table: 'rows' });
    const seen: unknown[] = [];
    const { call } = await serve(
      stream => void stream.emit('error', error),
      errors({ rules: [[(one: unknown) => seen.push(one) > 0, status.NOT_FOUND]] }),
    );
    await call();
    expect(seen).to.deep.equal([error]);
  });

  describe('with others who listen for errors', () => {
    const prepared = (handler: Handler, prepare: (stream: Stream) => void) =>
      serve(handler, undefined, ours => stream => {
        prepare(stream);
        return ours(stream);
      });

    const listeners: Record<string, (stream: Stream, heard: unknown[]) => void> = {
      first: (stream: Stream, heard: unknown[]) =>
        void stream.prependListener('error', error => heard.push(error)),
      once: (stream: Stream, heard: unknown[]) =>
        void stream.prependOnceListener('error', error => heard.push(error)),
      after: (stream: Stream, heard: unknown[]) => void stream.on('error', error => heard.push(error)),
      alone(stream: Stream, heard: unknown[]) {
        stream.removeAllListeners('error');
        stream.on('error', error => heard.push(error));
      },
    };
    for (const [name, prepare] of Object.entries(listeners))
      it(`has its status sent, whoever listens ${name}`, async () => {
        const error = { code: 7, details: 'no' };
        const heard: unknown[] = [];
        const { call } = await prepared(
          stream => {
            stream.write('a');
            stream.emit('error', error as never);
          },
          stream => prepare(stream, heard),
        );
        expect(said(await call())).to.deep.equal(error);
        expect(heard).to.deep.equal([error]);
      });

    it('has what it throws sent, and nobody told', async () => {
      const heard: unknown[] = [];
      const { call } = await prepared(
        () => {
          throw new StatusError(7, 'no');
        },
        stream => stream.prependListener('error', error => heard.push(error)),
      );
      expect(said(await call())).to.deep.equal({ code: 7, details: 'no' });
      expect(heard).to.deep.equal([]);
    });

    it('ends as it says when one of them throws, and that is reported', async () => {
      const bad = new Error('a bad listener');
      const { call, reports } = await serve(stream => {
        stream.on('error', () => {
          throw bad;
        });
        stream.emit('error', { code: 7, details: 'no' } as never);
      });
      expect(said(await call())).to.deep.equal({ code: 7, details: 'no' });
      expect(reports).to.deep.equal([bad]);
    });
  });

  it('is counted and reported as an orphan while it has not finished', async () => {
    const orphans: string[] = [];
    const finish = deferred();
    const handler: Handler = async stream => {
      stream.write('a');
      await finish.promise;
    };
    const { server } = await serve(
      handler,
      configure({ cleanupGraceMs: 10, onOrphan: call => void orphans.push(call.path) }),
    );
    const before = counters().orphans;
    const calling = server.open();
    await new Promise(resolve => calling.stream.once('data', resolve));
    calling.cancel();
    await until('it is reported', () => orphans.length > 0);
    expect(counters().orphans - before).to.equal(1);
    expect(orphans).to.deep.equal(['/spec.Service/Stream']);
    finish.resolve();
  });

  it('is no orphan when it finishes in time, or was never async', async () => {
    let orphans = 0;
    const settings = configure({ cleanupGraceMs: 10, onOrphan: () => void orphans++ });
    for (const handler of [
      (async (stream: Stream) => {
        stream.write('a');
        await new Promise(resolve => stream.once('cancelled', resolve));
      }) as Handler,
      ((stream: Stream) => void stream.write('a')) as Handler,
      (async (stream: Stream) => void stream.end()) as Handler,
    ]) {
      const { server } = await serve(handler, settings);
      const calling = server.open();
      await Promise.race([new Promise(resolve => calling.stream.once('data', resolve)), calling.reply]);
      calling.cancel();
      await calling.reply;
      await new Promise(resolve => setTimeout(resolve, 20));
    }
    expect(orphans).to.equal(0);
  });
});

describe('wrap() of an implementation', () => {
  afterEach(stopAll);
  const streams: Handler = stream => {
    stream.write('a');
    stream.end();
  };
  class Decorated {
    get stream(): Handler {
      return streams.bind(this);
    }
  }
  class Private {
    #text = 'a';
    stream(stream: Stream): void {
      stream.write(this.#text);
      stream.end();
    }
  }
  const module = Object.create(null, {
    stream: { get: () => streams, enumerable: true },
    [Symbol.toStringTag]: { value: 'Module' },
  });
  const implementations: Record<string, object> = {
    'a plain object': { stream: streams },
    'a frozen object': Object.freeze({ stream: streams }),
    'the namespace of a bundled module': Object.freeze(module),
    'an object with accessors': {
      get stream() {
        return streams;
      },
    },
    'an instance whose class has accessors': new Decorated(),
    'an instance whose methods use private fields': new Private(),
    'an object that inherits one': Object.create({ stream: streams }),
    'a Proxy that makes its methods when asked': new Proxy(
      {},
      { get: (_, name) => (name === 'stream' ? streams : undefined) },
    ),
    'what was wrapped before': wrap({ stream: streams }),
  };

  for (const [name, implementation] of Object.entries(implementations))
    it(`finds the handlers of ${name} by their names, as grpc-js does`, async () => {
      let layers = 0;
      const counting: Middleware = () => {
        layers += 1;
      };
      const server = await start(one =>
        one.addService(definition, wrap(implementation as { stream: Handler }, counting)),
      );
      expect((await server.call()).messages).to.deep.equal(['a']);
      expect(layers).to.equal(1);
    });

  it('leaves alone what is no handler, and answers like the implementation', () => {
    const implementation = { stream: streams, name: 'x', limit: 3 };
    const wrapped = wrap(implementation);
    expect(Object.keys(wrapped)).to.deep.equal(['stream', 'name', 'limit']);
    expect('stream' in wrapped && !('other' in wrapped)).to.equal(true);
    expect({ name: wrapped.name, limit: wrapped.limit }).to.deep.equal({ name: 'x', limit: 3 });
    expect(wrapped.stream).to.equal(wrapped.stream);
    expect({ ...wrapped }.stream).to.equal(wrapped.stream);
    expect(String(wrapped)).to.equal('[object Object]');
  });
});

describe('callOf()', () => {
  afterEach(stopAll);

  const covered: Record<string, (handler: Handler) => Promise<Running>> = {
    'wrap()': async handler => (await serve(handler)).server,
    'wrap() twice': async handler => (await serve(stream => void wrap(handler)(stream))).server,
    'interceptor()': handler =>
      start(server => server.addService(definition, { stream: handler }), { interceptors: [interceptor()] }),
  };

  for (const [name, on] of Object.entries(covered)) {
    it(`gives a handler under ${name} its call`, async () => {
      const paths: string[] = [];
      const server = await on(stream => {
        paths.push(callOf(stream).path);
        stream.end();
      });
      await server.call();
      expect(paths).to.deep.equal(['/spec.Service/Stream']);
    });

    it(`lets a handler under ${name} hear of a drain, and end in its own way`, async () => {
      const server = await on(async stream => {
        const { signal } = callOf(stream);
        stream.write('first');
        await new Promise(resolve => signal.addEventListener('abort', resolve));
        stream.write('last');
        stream.end();
      });
      const calling = server.open();
      await new Promise(resolve => calling.stream.once('data', resolve));
      await drain(server.server, { graceMs: 60_000, details: 'moving' });
      const { messages, code, details } = await calling.reply;
      expect(messages).to.deep.equal(['first', 'last']);
      expect({ code, details }).to.deep.equal({ code: status.UNAVAILABLE, details: 'moving' });
    });
  }

  for (const [what, fail] of Object.entries<(stream: Stream, signal: AbortSignal) => Promise<unknown>>({
    'the reason of its signal': (_, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    'an AbortError': (_, signal) => sleep(60_000, undefined, { signal }),
    'a call destroyed with an AbortError': (stream, signal) =>
      sleep(60_000, undefined, { signal }).catch(error => stream.destroy(error)),
  }))
    it(`ends a handler under wrap() as a drain says, that answers with ${what}`, async () => {
      const { server, reports } = await serve(async stream => {
        stream.write('first');
        await fail(stream, callOf(stream).signal);
      });
      const calling = server.open();
      await new Promise(resolve => calling.stream.once('data', resolve));
      await drain(server.server, { graceMs: 60_000, details: 'moving' });
      const { code, details } = await calling.reply;
      expect({ code, details }).to.deep.equal({ code: status.UNAVAILABLE, details: 'moving' });
      expect(reports).to.deep.equal([]);
    });

  it('refuses what neither of them covers', async () => {
    for (const stream of [{}, undefined, null, 5, { call: {} }])
      expect(() => callOf(stream as never)).to.throw(TypeError, /`stream`.*`wrap` or `interceptor`/);
  });
});

function said({ code, details }: Reply): { code: status; details: string } {
  return { code, details };
}

/** Serves a handler under `wrap`, and hears what is reported. */
async function serve(
  handler: Handler,
  middleware: Middleware = () => undefined,
  around: (ours: Handler) => Handler = ours => ours,
): Promise<{ server: Running; call: () => Promise<Reply>; reports: unknown[]; outcomes: Outcome[] }> {
  const reports: unknown[] = [];
  const outcomes: Outcome[] = [];
  const heard = configure({ onError: error => void reports.push(error), onOrphan: () => {} });
  const listen: Middleware = () => ({ end: outcome => void outcomes.push(outcome) });
  const server = await start(one =>
    one.addService(definition, { stream: around(wrap(handler, heard, middleware, listen)) }),
  );
  return { server, call: () => server.call(), reports, outcomes };
}
