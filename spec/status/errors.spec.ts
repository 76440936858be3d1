import { setTimeout as sleep } from 'node:timers/promises';
import {
  Client,
  credentials,
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import { expect } from 'chai';
import { configure, counters, mount, type Outcome, produce, StatusError, wrap } from '../../lib/index.ts';
import { answered } from '../support/answered.ts';
import { exotics, listener, places } from '../support/errors.ts';
import {
  type AnySource,
  definition,
  type Handler,
  type MountName,
  mountNames,
  path,
  type Reply,
  serve,
  start,
  stopAll,
  turn,
  until,
} from '../support/harness.ts';

/** Yields once, then throws. */
const failing = (thrown: () => unknown): AnySource =>
  async function* () {
    yield 'first';
    throw thrown();
  };

const statusOf = ({ code, details }: Reply) => ({ code, details });
const INTERNAL = { code: status.UNKNOWN, details: 'internal error' };

/** What may lie between a call and grpc-js. */
const belows: Record<string, () => ServerInterceptor[]> = {
  'with nothing below': () => [],
  'with an interceptor below': () => [(_method, call) => new ServerInterceptingCall(call)],
};

/** A plain handler sees its errors made statuses by grpc-js before an interceptor does. */
const seesErrors = mountNames.filter(name => name !== 'interceptor');

describe('errors', () => {
  afterEach(stopAll);
  for (const on of mountNames) describe(`on ${on}`, () => errors(on));
  for (const on of seesErrors) describe(`thrown on ${on}`, () => thrown(on));
  describe('of existing handlers', existing);
  describe('StatusError', statusError);
});

function errors(on: MountName): void {
  it('E1 answers an unknown error with a fixed text, and tells onError the original, once', async () => {
    const heard = listener();
    const server = await serve(
      on,
      failing(() => new Error('the password is hunter2')),
      heard.middleware,
    );
    const reply = await server.call();
    expect(statusOf(reply)).to.deep.equal(INTERNAL);
    expect(reply.messages, 'S17 what was sent before').to.deep.equal(['first']);
    expect(reply.trailer.toJSON()).to.deep.equal({});
    expect(heard.errors.map(error => (error as Error).message)).to.deep.equal(['the password is hunter2']);
  });

  it('E1 tells nobody of a status that is meant for the client', async () => {
    const heard = listener();
    const server = await serve(
      on,
      failing(() => new StatusError(status.NOT_FOUND, 'no such job')),
      heard.middleware,
    );
    await server.call();
    await turn();
    expect(heard.errors).to.deep.equal([]);
  });

  it('E2 keeps code, details and metadata of a StatusError', async () => {
    const metadata = new Metadata();
    metadata.add('x-hint', 'one');
    metadata.add('x-hint', 'two');
    metadata.set('x-key-bin', Buffer.from([0, 255]));
    const server = await serve(
      on,
      failing(() => new StatusError(status.ALREADY_EXISTS, 'twice: ü, %, "', { metadata })),
    );
    const reply = await server.call();
    expect(statusOf(reply)).to.deep.equal({ code: status.ALREADY_EXISTS, details: 'twice: ü, %, "' });
    expect(reply.trailer.get('x-hint')).to.deep.equal(['one, two']);
    expect(reply.trailer.get('x-key-bin')).to.deep.equal([Buffer.from([0, 255])]);
  });

  it('E2 keeps every code from 1 to 16', async () => {
    const server = await serve(on, ({ code }) => {
      throw new StatusError(code, `code ${code}`);
    });
    for (let code = 1; code <= 16; code++) {
      // An interceptor cannot tell UNKNOWN from an error that has no status: its text is not sent.
      const hidden = on === 'interceptor' && code === status.UNKNOWN;
      expect(statusOf(await server.call({ code }))).to.deep.equal(
        hidden ? INTERNAL : { code, details: `code ${code}` },
      );
    }
  });

  it('E2 knows a status by its shape', async () => {
    const server = await serve(
      on,
      failing(() => Object.assign(new Error('not this'), { code: 5, details: 'but this' })),
    );
    expect(statusOf(await server.call())).to.deep.equal({ code: 5, details: 'but this' });
  });

  for (const code of [0, Number.NaN, 11000, 'ENOENT', -1, 1.5, 17, '5', 5n, null]) {
    it(`E3 makes the code ${show(code)} UNKNOWN, and sends nothing of the rest`, async () => {
      const metadata = new Metadata();
      metadata.set('x-secret', 'secret');
      const server = await serve(
        on,
        failing(() => Object.assign(new Error('secret'), { code, details: 'secret', metadata })),
      );
      const reply = await server.call();
      expect(statusOf(reply)).to.deep.equal(INTERNAL);
      // grpc-js makes UNKNOWN of what is no integer, and an interceptor keeps the trailers of an UNKNOWN.
      const kept = on === 'interceptor' && !Number.isInteger(code);
      expect(reply.trailer.toJSON()).to.deep.equal(kept ? { 'x-secret': ['secret'] } : {});
    });
  }

  it('E7 sends rich details as grpc-status-details-bin', async () => {
    const value = Buffer.alloc(300, 7);
    const metadata = new Metadata();
    const error = new StatusError(status.INVALID_ARGUMENT, 'bad ü', {
      metadata,
      details: [
        { typeUrl: 'type.googleapis.com/google.rpc.RetryInfo', value: Buffer.from([0x0a, 2, 8, 1]) },
        { typeUrl: 'type.googleapis.com/google.rpc.Help', value },
      ],
    });
    expect(metadata.getMap(), 'not changed').to.deep.equal({});
    const server = await serve(
      on,
      failing(() => error),
    );
    const [bytes] = (await server.call()).trailer.get('grpc-status-details-bin');
    expect(decodeStatus(bytes as Buffer)).to.deep.equal({
      code: 3,
      message: 'bad ü',
      details: [
        { type_url: 'type.googleapis.com/google.rpc.RetryInfo', value: Buffer.from([0x0a, 2, 8, 1]) },
        { type_url: 'type.googleapis.com/google.rpc.Help', value },
      ],
    });
  });

  for (const [below, interceptors] of Object.entries(belows)) {
    /** With an interceptor below, `mount` alone can tell before grpc-js has answered by itself; ours lies below it. */
    const named = interceptors().length === 0 || on === 'mount' || on === 'interceptor';

    it(`E8 answers a message that is too large with RESOURCE_EXHAUSTED, and releases the source, ${below}`, async () => {
      const heard = listener();
      let released = false;
      const source: AnySource = async function* () {
        try {
          yield 'fits';
          yield 'fits';
          yield 'x'.repeat(40);
          yield 'never';
        } finally {
          released = true;
        }
      };
      const limit = { 'grpc.max_send_message_length': 20 };
      const server = await serve(on, source, heard.middleware, { ...limit, interceptors: interceptors() });
      const reply = await server.call();
      expect(statusOf(reply)).to.deep.equal({
        code: status.RESOURCE_EXHAUSTED,
        details: named
          ? `the message at index 2 of ${path} has 42 bytes, and 20 may be sent`
          : 'Sent message larger than max (47 vs. 20)',
      });
      expect(reply.messages).to.deep.equal(['fits', 'fits']);
      await until('S13 the source is released', () => released);
      expect(heard.outcomes.map(({ code, reason }) => ({ code, reason }))).to.deep.equal([
        { code: status.RESOURCE_EXHAUSTED, reason: 'error' },
      ]);
      expect(heard.outcomes[0]?.details).to.match(/^the message at index 2 of \/spec\.Service\/Stream /);
    });

    it(`E8 S13 answers a message that cannot be serialised with INTERNAL, and releases the source, ${below}`, async () => {
      const heard = listener();
      let released = false;
      const source: AnySource = async function* () {
        try {
          yield 'fits';
          yield { secret: 5n };
          yield 'never';
        } finally {
          released = true;
        }
      };
      const server = await serve(on, source, heard.middleware, { interceptors: interceptors() });
      const reply = await server.call();
      const details = `the message at index 1 of ${path} could not be serialised`;
      expect(statusOf(reply)).to.deep.equal({
        code: status.INTERNAL,
        details: named ? details : 'Error serializing response',
      });
      expect(reply.messages).to.deep.equal(['fits']);
      await until('the source is released', () => released);
      expect(heard.outcomes.map(({ code, reason }) => ({ code, reason }))).to.deep.equal([
        { code: status.INTERNAL, reason: 'error' },
      ]);
      expect(heard.outcomes[0]?.details).to.equal(details);
    });
  }

  it('E5 keeps what led to a status here', async () => {
    const heard = listener();
    const server = await serve(
      on,
      failing(
        () =>
          new StatusError(status.UNAVAILABLE, 'try later', {
            cause: new Error('db', { cause: new Error('socket') }),
          }),
      ),
      heard.middleware,
    );
    const reply = await server.call();
    expect(statusOf(reply)).to.deep.equal({ code: status.UNAVAILABLE, details: 'try later' });
    expect(reply.trailer.toJSON()).to.deep.equal({});
    if (on === 'interceptor') return;
    const { cause } = heard.outcomes[0] as { cause: any };
    expect([cause.message, cause.cause.message, cause.cause.cause.message]).to.deep.equal([
      '[UNAVAILABLE] try later',
      'db',
      'socket',
    ]);
  });

  it('E6 answers an AggregateError as any other, and tells onError all of it', async () => {
    const heard = listener();
    const error = new AggregateError(
      [new Error('one'), new StatusError(status.NOT_FOUND, 'two')],
      'all of them failed',
    );
    const server = await serve(
      on,
      failing(() => error),
      heard.middleware,
    );
    expect(statusOf(await server.call())).to.deep.equal(INTERNAL);
    expect(heard.errors).to.have.length(1);
    if (on !== 'interceptor') expect(heard.errors).to.deep.equal([error]);
  });

  it('E4 answers an AbortError from elsewhere as an unknown error', async () => {
    const heard = listener();
    const server = await serve(
      on,
      failing(() => AbortSignal.abort().reason),
      heard.middleware,
    );
    expect(statusOf(await server.call())).to.deep.equal(INTERNAL);
    expect(heard.outcomes.map(({ reason }) => reason)).to.deep.equal(['error']);
    expect(heard.errors).to.have.length(1);
  });

  it('E4 S23 ends as CANCELLED, and says nothing, when the source fails by its own signal', async () => {
    const heard = listener();
    let released = 0;
    const source: AnySource = async function* (_request, call) {
      try {
        yield 'first';
        await sleep(60_000, undefined, { signal: call.signal });
      } finally {
        released += 1;
      }
    };
    const server = await serve(on, source, heard.middleware);
    const calling = server.open();
    calling.stream.once('data', () => calling.cancel());
    await calling.reply;
    await until('the source is released', () => released > 0);
    await turn();
    expect(heard.outcomes.map(({ code, reason }) => ({ code, reason }))).to.deep.equal([
      { code: status.CANCELLED, reason: 'cancelled' },
    ]);
    expect(heard.errors).to.deep.equal([]);
  });

  it('E4 S24 ends as DEADLINE_EXCEEDED when that was the reason', async () => {
    const heard = listener();
    const source: AnySource = async function* (_request, call) {
      yield 'first';
      await sleep(60_000, undefined, { signal: call.signal });
    };
    const server = await serve(on, source, heard.middleware);
    const { code } = await server.call({}, { deadline: Date.now() + 50 });
    expect(code).to.equal(status.DEADLINE_EXCEEDED);
    await until('the server knows', () => heard.outcomes.length > 0);
    expect(heard.outcomes.map(({ code, reason }) => ({ code, reason }))).to.deep.equal([
      { code: status.DEADLINE_EXCEEDED, reason: 'deadline' },
    ]);
    expect(heard.errors).to.deep.equal([]);
  });

  it('H4 cuts details at 4 KiB, and at what a client reads of them as they are encoded, and says so', async () => {
    const server = await serve(on, ({ text, times }) => {
      throw new StatusError(status.NOT_FOUND, text.repeat(times));
    });
    const whole = await server.call({ text: 'x', times: 4096 });
    expect(whole.details).to.equal('x'.repeat(4096));
    for (const text of ['x', 'ü', '€', '😀', 'x😀']) {
      const { code, details } = await server.call({ text, times: 100_000 });
      expect(code).to.equal(status.NOT_FOUND);
      expect(details.endsWith('… (cut)')).to.equal(true);
      if (text === 'x') expect(Buffer.byteLength(details)).to.be.within(4090, 4096);
      else expect(encodeURI(details).length).to.be.within(7880, 7912);
      expect(details).not.to.include('\ufffd');
      expect(text.repeat(100_000).startsWith(details.slice(0, -'… (cut)'.length))).to.equal(true);
    }
  });

  it('sends the status of a layer that ends it as if the client were gone', async () => {
    const end = { code: status.OK, details: 'OK', reason: 'completed' };
    const outcomes: unknown[] = [
      { ...end, reason: 'cancelled' },
      { ...end, reason: 'disconnected' },
      { ...end, code: status.CANCELLED, reason: 'cancelled' },
      { ...end, code: status.CANCELLED, reason: 'disconnected' },
      { ...end, code: status.DEADLINE_EXCEEDED, reason: 'deadline' },
      { ...end, code: status.UNAVAILABLE, reason: 'drain' },
      { ...end, code: status.RESOURCE_EXHAUSTED, reason: 'limit' },
    ];
    for (const outcome of outcomes as Outcome[]) {
      for (const when of ['at the start', 'after a message']) {
        const server = await serve(on, () => ['first', 'second'], [
          call => ({
            start: inner => (when === 'at the start' ? call.end(outcome) : inner()),
            message: () => call.end(outcome),
          }),
        ]);
        const what = `${status[outcome.code]} ${outcome.reason} ${when}`;
        expect((await answered(server, what)).code, what).to.equal(outcome.code);
      }
    }
  });

  it('ends once when a layer ends it with nonsense', async () => {
    const nonsense: unknown[] = [
      undefined,
      {},
      { code: 99, details: 'x', reason: 'error' },
      { code: 5, reason: 'error' },
      { code: 5, details: 7n, reason: 'limit' },
      { code: 5, details: 'x', reason: 'limit', metadata: 'none' },
      { code: 5, details: 'x', reason: 'limit', metadata: { toJSON: () => ({ a: 1 }) } },
    ];
    const codes: status[] = [];
    let index = 0;
    const server = await serve(on, () => ['first'], [
      call => {
        // A signal that somebody holds must abort with something.
        call.signal.addEventListener('abort', () => {});
        return {};
      },
      () => ({ end: ({ code }) => void codes.push(code) }),
      call => ({ start: () => call.end(nonsense[index] as never) }),
    ]);
    for (index = 0; index < nonsense.length; index++) {
      const { code } = await answered(server, `nonsense ${index}`);
      expect(code, `nonsense ${index}`).to.be.within(1, 16);
      expect(codes.splice(0), `nonsense ${index}`).to.deep.equal([code]);
    }
  });
}

function thrown(on: MountName): void {
  for (const [name, { make, expected }] of Object.entries(exotics)) {
    it(`S20 ${name} ends the call as ${status[expected.code]}, wherever it is thrown`, async () => {
      for (const [place, source] of Object.entries(places)) {
        const server = await serve(on, source(make));
        expect(statusOf(await answered(server, place)), place).to.deep.equal(expected);
      }
    });

    it(`S7 S20 ${name} in a finally, after a cancel, is reported once and changes nothing`, async () => {
      const heard = listener();
      let released = 0;
      const source: AnySource = async function* (_request, call) {
        try {
          yield 'first';
          await new Promise(resolve => call.signal.addEventListener('abort', resolve));
        } finally {
          released += 1;
          // biome-ignore lint/correctness/noUnsafeFinally: that is what this is about
          throw make();
        }
      };
      const server = await serve(on, source, heard.middleware);
      const calling = server.open();
      calling.stream.once('data', () => calling.cancel());
      await calling.reply;
      await until('finally ran', () => released > 0);
      for (let i = 0; i < 3; i++) await turn();
      expect(heard.outcomes.map(({ reason }) => reason)).to.deep.equal(['cancelled']);
      expect(released).to.equal(1);
      if (on !== 'wrap') expect(heard.errors).to.have.length(1);
    });
  }

  it('E9 does not pass on the status of an upstream: not its details, not its trailers', async () => {
    const upstream = await start(server =>
      server.addService(definition, {
        stream: (stream: any) => {
          const metadata = new Metadata();
          metadata.set('x-upstream', 'db-7.internal');
          stream.emit('error', { code: status.NOT_FOUND, details: 'no row in db-7.internal', metadata });
        },
      }),
    );
    const heard = listener();
    const source: AnySource = async function* ({ words }) {
      yield 'first';
      const { stream } = upstream.open({}, { paused: true });
      try {
        for await (const message of stream) yield message;
      } catch (error) {
        throw Object.assign(error as Error, words);
      }
    };
    const server = await serve(on, source, heard.middleware);
    const changed = [{}, { message: 'orders: it has no row' }, { stack: 'none' }];
    for (const words of changed) {
      const reply = await server.call({ words });
      expect(statusOf(reply)).to.deep.equal(INTERNAL);
      expect(reply.trailer.toJSON()).to.deep.equal({});
    }
    expect(heard.errors).to.have.length(changed.length);
    for (const error of heard.errors as ServiceError[]) {
      expect(error.code).to.equal(status.NOT_FOUND);
      expect(error.details).to.equal('no row in db-7.internal');
    }
  });

  it('E9 does not pass on the address of an upstream that is down', async () => {
    const gone = await start(server => server.addService(definition, {}));
    await gone.close();
    const client = new Client(`127.0.0.1:${gone.port}`, credentials.createInsecure());
    const { requestSerialize, responseDeserialize } = definition.stream;
    const source: AnySource = () =>
      client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {});
    const heard = listener();
    const server = await serve(on, source, heard.middleware);
    const reply = await server.call();
    client.close();
    expect(statusOf(reply)).to.deep.equal(INTERNAL);
    expect((heard.errors as [ServiceError])[0].code).to.equal(status.UNAVAILABLE);
    expect((heard.errors as [ServiceError])[0].details).to.include(`127.0.0.1:${gone.port}`);
  });

  it('E9 passes on what the source makes of it', async () => {
    const upstream = await start(server =>
      server.addService(definition, {
        stream: (stream: any) => stream.emit('error', { code: status.NOT_FOUND, details: 'internal' }),
      }),
    );
    const source: AnySource = async function* () {
      try {
        yield* upstream.open({}, { paused: true }).stream;
      } catch (error) {
        throw new StatusError((error as ServiceError).code, 'no such job', { cause: error });
      }
    };
    const server = await serve(on, source);
    expect(statusOf(await server.call())).to.deep.equal({ code: status.NOT_FOUND, details: 'no such job' });
  });
}

/** The ways in which handlers fail that were written for grpc-js. */
function existing(): void {
  const ways: Record<string, (thrown: () => unknown) => Handler> = {
    throws: thrown => () => {
      throw thrown();
    },
    rejects: thrown => async () => {
      throw thrown();
    },
    "emits 'error'": thrown => stream => void stream.emit('error', thrown() as Error),
    destroys: thrown => stream => void stream.destroy(thrown() as Error),
    'emits it late': thrown => stream => void setImmediate(() => stream.emit('error', thrown() as Error)),
  };
  const quiet = configure({ onError: () => {} });

  for (const [way, handler] of Object.entries(ways)) {
    it(`S20 answers all that a wrapped handler ${way} with one status`, async () => {
      for (const [name, { make, expected }] of Object.entries(exotics)) {
        const server = await start(one => one.addService(definition, { stream: wrap(handler(make), quiet) }));
        expect(statusOf(await answered(server, name)), name).to.deep.equal(expected);
      }
    });
  }

  it('S20 answers all that a handler under an interceptor throws with one status', async () => {
    const { interceptor } = await import('../../lib/index.ts');
    for (const [name, { make }] of Object.entries(exotics)) {
      const server = await start(
        one => one.addService(definition, { stream: ways.throws?.(make) as Handler }),
        { interceptors: [interceptor(quiet)] },
      );
      expect(statusOf(await answered(server, name)), name).to.deep.equal(INTERNAL);
    }
  });

  it('S20 answers every status that a handler under an interceptor emits', async () => {
    const { interceptor } = await import('../../lib/index.ts');
    for (const [name, { make, expected }] of Object.entries(exotics)) {
      // What grpc-js itself cannot look at makes the handler throw, and is not seen from here.
      if (expected.code === status.UNKNOWN || name.endsWith('that throw') || name.endsWith('that throws'))
        continue;
      const server = await start(
        one => one.addService(definition, { stream: ways["emits 'error'"]?.(make) as Handler }),
        { interceptors: [interceptor(quiet)] },
      );
      expect(statusOf(await answered(server, name)), name).to.deep.equal(expected);
    }
  });

  for (const on of ['wrap', 'interceptor'] as const) {
    it(`E2 keeps the message of an error with a code, as grpc-js does, on ${on}`, async () => {
      const { interceptor } = await import('../../lib/index.ts');
      const handler: Handler = stream =>
        void stream.emit('error', { code: 5, message: 'no such job' } as never);
      const server = await start(
        one => one.addService(definition, { stream: on === 'wrap' ? wrap(handler, quiet) : handler }),
        on === 'wrap' ? {} : { interceptors: [interceptor(quiet)] },
      );
      expect(statusOf(await server.call())).to.deep.equal({ code: 5, details: 'no such job' });
    });

    for (const [kind, message] of Object.entries({
      'a number': 42,
      null: null,
      'an object': {},
      'an object without a prototype': Object.create(null),
      'a symbol': Symbol('x'),
      'text that throws': {
        toString() {
          throw new Error('do not print me');
        },
      },
    })) {
      it(`S20 answers an error whose message is ${kind}, with a code and without, on ${on}`, async () => {
        const { interceptor } = await import('../../lib/index.ts');
        for (const code of [undefined, 5, 2, 17, 'ENOENT']) {
          const handler: Handler = stream => {
            stream.write('first');
            stream.emit('error', (code === undefined ? { message } : { code, message }) as never);
          };
          const server = await start(
            one => one.addService(definition, { stream: on === 'wrap' ? wrap(handler, quiet) : handler }),
            on === 'wrap' ? {} : { interceptors: [interceptor(quiet)] },
          );
          const reply = await answered(server, `code ${code}`);
          expect(reply.code, `code ${code}`).to.be.oneOf([
            status.UNKNOWN,
            ...(code === 5 ? [status.NOT_FOUND] : []),
          ]);
          expect(reply.messages).to.deep.equal(['first']);
        }
      });
    }
  }

  it('S15 absorbs and counts an error after the end', async () => {
    const handler: Handler = stream => {
      stream.write('only');
      stream.end();
      stream.emit('error', new Error('late'));
      setImmediate(() => stream.emit('error', new Error('later')));
    };
    const before = counters().lateEnds;
    const server = await start(one => one.addService(definition, { stream: wrap(handler, quiet) }));
    const reply = await server.call();
    expect(reply.code).to.equal(status.OK);
    expect(reply.messages).to.deep.equal(['only']);
    await until('both were counted', () => counters().lateEnds >= before + 2);
  });
}

function statusError(): void {
  it('says code and details in its message', () => {
    const error = new StatusError(status.NOT_FOUND, 'no such job', { cause: 'why' });
    expect(error).to.be.instanceOf(Error);
    expect(error).to.include({
      name: 'StatusError',
      message: '[NOT_FOUND] no such job',
      code: 5,
      details: 'no such job',
      cause: 'why',
    });
    expect('cause' in new StatusError(status.NOT_FOUND, '')).to.equal(false);
  });

  it('is the same on every mount', async () => {
    const fail = () => {
      throw new StatusError(status.ABORTED, 'again');
    };
    const server = await start(one => mount(one, definition, { stream: produce(fail) }));
    expect(statusOf(await server.call())).to.deep.equal({ code: status.ABORTED, details: 'again' });
  });
}

function show(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : typeof value === 'bigint' ? `${value}n` : String(value);
}

function decodeStatus(bytes: Buffer): unknown {
  const { Service } = fromJSON(
    {
      nested: {
        Any: {
          fields: { type_url: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } },
        },
        Status: {
          fields: {
            code: { type: 'int32', id: 1 },
            message: { type: 'string', id: 2 },
            details: { rule: 'repeated', type: 'Any', id: 3 },
          },
        },
        Service: { methods: { Get: { requestType: 'Any', responseType: 'Status', comment: '' } } },
      },
    },
    { keepCase: true },
  ) as any;
  return Service.Get.responseDeserialize(bytes);
}
