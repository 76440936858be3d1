import { EventEmitter } from 'node:events';
import * as grpc from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import { SpanKind } from '@opentelemetry/api';
import { expect } from 'chai';
import {
  type Call,
  drain,
  interceptor,
  type Kind,
  key,
  type Middleware,
  mount,
  produce,
  type Requests,
  StatusError,
  wrap,
} from '../lib/index.ts';
import { collect, open } from '../lib/testing/index.ts';
import { batch } from '../middleware/batch.ts';
import { logging } from '../middleware/logging.ts';
import { metrics } from '../middleware/metrics.ts';
import { tracing } from '../middleware/tracing.ts';
import {
  authority,
  clientCertificate,
  clientKey,
  serverCertificate,
  serverKey,
} from './support/certificates.ts';
import { deferred, mountNames, quiet, start, stopAll, until } from './support/harness.ts';
import {
  type AnyMethod,
  byHand,
  calling,
  kinds,
  serveKind,
  service,
  streamsIn,
  streamsOut,
} from './support/kinds.ts';
import { type Rig, startOtel } from './support/otel.ts';

/** Answers once, after it has read all that there is to read. */
const answering =
  (kind: Kind, answer: (call: Call) => unknown): AnyMethod =>
  async (request, call) => {
    if (streamsIn(kind)) for await (const _ of request as Requests<unknown>);
    const message = await answer(call);
    return streamsOut(kind) ? [message] : message;
  };

describe('OpenTelemetry on all kinds of methods', () => {
  let otel: Rig;
  beforeEach(() => {
    otel = startOtel();
  });
  afterEach(async () => {
    await stopAll();
    await otel.stop();
    expect(otel.complaints).to.deep.equal([]);
    expect(otel.spans).to.have.length(otel.started);
  });

  for (const on of mountNames)
    for (const kind of kinds)
      it(`K6 has one span with its code, and one measurement, for each call of ${kind} on ${on}`, async () => {
        const method = answering(kind, ({ metadata }) => {
          if (metadata.get('user').length) throw new StatusError(status.INTERNAL, 'as asked');
          return { num: 1 };
        });
        const server = await serveKind(on, kind, method, [tracing(), metrics()]);
        await calling(server, kind, [1]).reply;
        await calling(server, kind, [1], { metadata: withUser('ann') }).reply;
        await until('both have ended', () => otel.servers().length === 2);
        const spans = otel.servers();
        expect(spans.map(({ name, kind }) => [name, kind])).to.deep.equal(
          Array(2).fill([service[kind].path.slice(1), SpanKind.SERVER]),
        );
        expect(spans.map(({ attributes }) => attributes['rpc.status_code'])).to.deep.equal([
          'OK',
          'INTERNAL',
        ]);
      });

  it('K6 has one span where an interceptor and a mount have the same list', async () => {
    const list = [tracing(), metrics()];
    for (const kind of kinds) {
      const method = answering(kind, () => ({ num: 1 }));
      const server = await start(one => mount(one, service, { [kind]: method }, ...list), {
        interceptors: [interceptor(...list)],
      });
      await calling(server, kind, [1]).reply;
    }
    await until('all have ended', () => otel.servers().length === 4);
    expect(otel.started).to.equal(4);
  });
});

describe('the kinds of methods', () => {
  afterEach(stopAll);

  describe('in a drain', () => {
    for (const on of mountNames)
      it(`L5 answers unary calls that run, and those that come meanwhile, on ${on}`, async () => {
        const gate = deferred();
        const signals: AbortSignal[] = [];
        const method: AnyMethod = async (_request, call) => {
          signals.push(call.signal);
          await gate.promise;
          return { num: 1 };
        };
        const server = await serveKind(on, 'unary', method);
        const first = calling(server, 'unary', [1]);
        await until('it runs', () => signals.length === 1);
        const drained = drain(server.server, { graceMs: 2000 });
        const second = calling(server, 'unary', [1]);
        await until('the second runs', () => signals.length === 2);
        expect(signals.map(({ aborted }) => aborted)).to.deep.equal([false, false]);
        gate.resolve();
        const replies = await Promise.all([first.reply, second.reply]);
        expect(replies.map(({ code }) => code)).to.deep.equal([0, 0]);
        await drained;
      });

    it('R11 ends one that does not answer with UNAVAILABLE, also one that came meanwhile', async () => {
      let running = 0;
      const server = await serveKind('mount', 'unary', () => {
        running += 1;
        return new Promise(() => {});
      });
      const first = calling(server, 'unary', [1]);
      await until('it runs', () => running === 1);
      const drained = drain(server.server, { graceMs: 150 });
      const second = calling(server, 'unary', [1]);
      await until('the second runs', () => running === 2);
      const replies = await Promise.all([first.reply, second.reply]);
      expect(replies.map(({ code }) => code)).to.deep.equal([14, 14]);
      await drained;
    });

    it('L2 refuses a client that would begin to stream', async () => {
      const gate = deferred();
      const method = answering('clientStream', () => gate.promise);
      const server = await serveKind('mount', 'clientStream', method);
      const first = calling(server, 'clientStream', [1]);
      await new Promise(resolve => setTimeout(resolve, 20));
      const drained = drain(server.server, { graceMs: 2000 });
      const second = calling(server, 'clientStream', [1]);
      expect((await second.reply).code).to.equal(14);
      gate.resolve('late' as never);
      expect((await first.reply).code).to.equal(0);
      await drained;
    });
  });

  describe('of versions of grpc-js that have calls of their own for what is answered by a callback', () => {
    /** A call that cannot be written to. */
    class UnaryCall extends EventEmitter {
      cancelled = false;
      readonly metadata = new grpc.Metadata();
      readonly sent: grpc.Metadata[] = [];
      constructor(readonly request: unknown) {
        super();
      }
      sendMetadata(metadata: grpc.Metadata) {
        this.sent.push(metadata);
      }
      getPath = () => '/spec.Kinds/Unary';
      getPeer = () => '127.0.0.1:50000';
      getHost = () => 'localhost';
      getDeadline = () => Infinity;
      getAuthContext = () => ({});
    }

    const answered = (handler: unknown, call: UnaryCall): Promise<unknown[]> =>
      new Promise(resolve =>
        (handler as grpc.handleUnaryCall<unknown, unknown>)(call as never, (...answer) => resolve(answer)),
      );

    const trailers: Middleware = call => {
      call.trailer.set('x-trailer', 't');
      call.header.set('x-header', 'h');
    };

    for (const [on, made] of [
      ['produce', (method: AnyMethod) => produce(method, quiet, trailers)],
      ['wrap', (method: AnyMethod) => wrap(byHand('unary', method).handler as never, quiet, trailers)],
    ] as const) {
      it(`answers with message and trailers by the callback, on ${on}`, async () => {
        const call = new UnaryCall(1);
        const [error, message, trailer] = await answered(
          made(request => ({ request })),
          call,
        );
        expect(error).to.equal(null);
        expect(message).to.deep.equal({ request: 1 });
        expect((trailer as grpc.Metadata).get('x-trailer')).to.deep.equal(['t']);
        expect(call.sent[0]?.get('x-header')).to.deep.equal(['h']);
      });

      it(`gives errors by the callback, on ${on}`, async () => {
        const failing: AnyMethod = () => {
          throw new StatusError(status.NOT_FOUND, 'none here');
        };
        const [error, message] = await answered(made(failing), new UnaryCall(1));
        expect(error).to.include({ code: 5, details: 'none here' });
        expect(message).to.equal(undefined);
      });
    }
  });

  describe('with the certificate of a client', () => {
    const user = key<string>('user');

    /** Lets nobody in whom it does not know. */
    const auth: Middleware = async call => {
      const name = call.authContext.sslPeerCertificate?.subject.CN;
      if (typeof name !== 'string') throw new StatusError(status.UNAUTHENTICATED, 'who are you?');
      call.values.set(user, name);
    };

    for (const on of mountNames)
      it(`K9 tells every kind of method on ${on} who is calling`, async () => {
        for (const kind of kinds) {
          const method = answering(kind, call => ({ user: call.values.get(user) }));
          const made = await serveKind(on, kind, method, [auth]);
          const pair = { private_key: serverKey, cert_chain: serverCertificate };
          const port = await new Promise<number>((resolve, reject) =>
            made.server.bindAsync(
              '127.0.0.1:0',
              grpc.ServerCredentials.createSsl(authority, [pair], true),
              (error, bound) => (error ? reject(error) : resolve(bound)),
            ),
          );
          const client = new grpc.Client(
            `localhost:${port}`,
            grpc.credentials.createSsl(authority, clientKey, clientCertificate),
            { 'grpc.default_authority': 'localhost' },
          );
          const { code, messages } = await calling({ ...made, client }, kind, [1]).reply;
          expect({ code, messages }).to.deep.equal({ code: 0, messages: [{ user: 'ann' }] });
          client.close();
          expect((await calling(made, kind, [1]).reply).code, 'without TLS').to.equal(16);
          await made.close();
        }
      });
  });
});

describe('leat/testing', () => {
  const unary = async ({ max }: { max: number }) => ({ num: max });
  const upload = async (requests: Requests<number>) => {
    let sum = 0;
    for await (const request of requests) sum += request;
    return { sum };
  };
  async function* chat(requests: Requests<number>) {
    for await (const request of requests) yield { request };
  }

  it('calls methods of all kinds', async () => {
    const one = await collect(unary, { max: 3 }, { kind: 'unary' });
    expect(one).to.deep.include({ messages: [{ num: 3 }], finished: true });
    expect(one.outcome).to.include({ code: 0, reason: 'completed' });
    const uploaded = await collect(upload, [1, 2, 3], { kind: 'clientStream' });
    expect(uploaded).to.deep.include({ messages: [{ sum: 6 }], finished: true });
    const chatted = await collect(chat, [1, 2], { kind: 'bidi' });
    expect(chatted).to.deep.include({ messages: [{ request: 1 }, { request: 2 }], finished: true });
  });

  it('calls what produce and wrap made of them', async () => {
    const produced = await collect(produce(unary), { max: 3 }, { kind: 'unary' });
    expect(produced.messages).to.deep.equal([{ num: 3 }]);
    const handlers = {
      unary: byHand('unary', unary).handler,
      clientStream: byHand('clientStream', upload).handler,
      bidi: byHand('bidi', chat).handler,
    };
    const wrapped = wrap(handlers) as any;
    expect((await collect<any, any>(wrapped.unary, { max: 3 }, { kind: 'unary' })).messages).to.deep.equal([
      { num: 3 },
    ]);
    expect(
      (await collect<any, any>(wrapped.clientStream, [1, 2], { kind: 'clientStream' })).messages,
    ).to.deep.equal([{ sum: 3 }]);
    expect((await collect<any, any>(wrapped.bidi, [1, 2], { kind: 'bidi' })).messages).to.deep.equal([
      { request: 1 },
      { request: 2 },
    ]);
  });

  it('tells how they fail, and that they are cancelled', async () => {
    const failed = await collect(() => undefined as never, {}, { kind: 'unary', middleware: [quiet] });
    expect(failed.outcome).to.include({ code: 13, details: 'the method has no answer' });
    const never = new Promise<number>(() => {});
    const call = open(
      upload,
      (async function* () {
        yield 1;
        yield await never;
      })(),
      { kind: 'clientStream' },
    );
    setTimeout(() => call.cancel(), 10);
    const { outcome, finished } = await call.result;
    expect({ reason: outcome.reason, finished }).to.deep.equal({ reason: 'cancelled', finished: true });
    const left = await collect(
      upload,
      (function* () {
        yield 1;
        throw new Error('the client failed');
      })(),
      { kind: 'clientStream' },
    );
    expect(left.outcome.reason).to.equal('cancelled');
  });

  it('is left by a client whose requests cannot be begun', async () => {
    const requests = {
      [Symbol.iterator](): Iterator<number> {
        throw new Error('no iterator');
      },
    };
    const { outcome } = await collect(upload, requests, { kind: 'clientStream' });
    expect(outcome.reason).to.equal('cancelled');
  });

  for (const nothing of [null, undefined])
    it(`says which of the requests is ${nothing}, and does not take it for their end`, async () => {
      const act = collect(upload, [1, nothing as never, 2], { kind: 'clientStream' });
      const error = await act.then(
        () => undefined,
        reason => reason,
      );
      expect(String(error)).to.equal(
        `TypeError: Expected \`requests[1]\` to be a message, got \`${nothing}\` (${typeof nothing})`,
      );
    });

  it('says of a wrapped method that returns its answer what a server says', async () => {
    const method = async () => ({ num: 1 });
    const { outcome } = await collect(wrap(method as never, quiet) as never, {}, { kind: 'unary' });
    expect(outcome).to.include({ code: 13, details: 'the method has no answer' });
  });

  it('gives a wrapped handler its `this`', async () => {
    const service = {
      num: 7,
      get(_call: unknown, callback: (error: null, answer: object) => void) {
        callback(null, { num: this.num });
      },
    };
    const { messages } = await collect<any, any>(
      wrap(service as never as { get: any }).get,
      {},
      { kind: 'unary' },
    );
    expect(messages).to.deep.equal([{ num: 7 }]);
  });

  it('pulls no more requests than a method reads, and some ahead', async () => {
    let pulled = 0;
    const endless = (function* () {
      for (;;) yield pulled++;
    })();
    const first = async (requests: Requests<number>) => {
      for await (const request of requests) return { request };
      return {};
    };
    const { messages } = await collect(first, endless, { kind: 'clientStream' });
    expect(messages).to.deep.equal([{ request: 0 }]);
    expect(pulled).to.be.lessThan(20);
  });

  it('gives middleware the kind, and a certificate', async () => {
    const seen: unknown[] = [];
    const look: Middleware = call => void seen.push(call.kind, call.authContext.transportSecurityType);
    const authContext = { transportSecurityType: 'ssl' };
    await collect(chat, [], {
      kind: 'bidi',
      middleware: [look, batch(), logging({ logger: silent })],
      authContext,
    });
    expect(seen).to.deep.equal(['bidi', 'ssl']);
  });

  it('refuses a kind that there is not, and requests that are none', () => {
    const what =
      'Expected `kind` to be one of unary, clientStream, serverStream, bidi, got `server` (string)';
    expect(() => open(chat as never, [], { kind: 'server' as never })).to.throw(TypeError, what);
    expect(() => open(chat, 5 as never, { kind: 'bidi' })).to.throw(
      TypeError,
      'Expected `requests` to be an iterable',
    );
  });
});

const silent = { debug() {}, info() {}, warn() {}, error() {} };

function withUser(name: string): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set('user', name);
  return metadata;
}
