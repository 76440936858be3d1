import { mock } from 'node:test';
import { Metadata, status } from '@grpc/grpc-js';
import { context, diag, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { expect } from 'chai';
import { type Middleware, only, StatusError } from '../../lib/index.ts';
import { metrics } from '../../middleware/metrics.ts';
import { resumed, type TracingOptions, traceparent, tracing } from '../../middleware/tracing.ts';
import { type AnySource, type OpenOptions, type Reply, serve, stopAll, until } from '../support/harness.ts';
import { type Finished, type Rig, type RigOptions, startOtel } from '../support/otel.ts';
import { completed, fakeCall, layerOf } from '../support/otel-call.ts';

const REMOTE = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };
const PARENT = `00-${REMOTE.traceId}-${REMOTE.spanId}-01`;

const metadataOf = (entries: Record<string, string | Buffer>): Metadata => {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(entries)) metadata.add(key, value);
  return metadata;
};

describe('tracing(): the options', () => {
  let otel: Rig;
  let expected: RegExp | undefined;
  const use = async (options: RigOptions) => {
    await otel.stop();
    otel = startOtel(options);
  };
  beforeEach(() => {
    otel = startOtel();
    expected = undefined;
  });
  afterEach(async () => {
    await stopAll();
    await otel.stop();
    if (!expected) expect(otel.complaints).to.deep.equal([]);
    else {
      expect(otel.complaints).to.have.length(1);
      expect(otel.complaints[0]).to.match(expected);
    }
  });

  /** Calls once, and tells what the span was and what the client read. */
  async function traced(
    options: TracingOptions,
    { source = () => [1], ...open }: OpenOptions & { source?: AnySource } = {},
  ): Promise<Finished & { reply: Reply }> {
    const before = otel.servers().length;
    const reply = await (await serve('mount', source, [tracing(options)])).call({}, open);
    await until('it is over', () => otel.servers().length > before);
    return Object.assign(otel.servers().at(-1) as Finished, { reply });
  }

  it('OT2 tells samplers the method and the server', async () => {
    const seen: any[] = [];
    const sampler = {
      shouldSample: (...args: unknown[]) => {
        seen.push({ name: args[2], kind: args[3], attributes: args[4], links: args[5] });
        return { decision: 2 };
      },
    };
    await use({ sampler });
    await traced({
      spanAttributes: () => ({ tenant: 'a' }),
      links: () => ({ context: { ...REMOTE, traceFlags: 1 } }),
    });
    expect(seen).to.have.length(1);
    expect(seen[0]).to.include({ name: 'spec.Service/Stream', kind: SpanKind.SERVER });
    expect(seen[0].attributes).to.include({
      'rpc.system.name': 'grpc',
      'rpc.method': 'spec.Service/Stream',
      'server.address': '127.0.0.1',
      'network.peer.address': '127.0.0.1',
      tenant: 'a',
    });
    expect(seen[0].attributes['server.port']).to.be.a('number');
    expect(seen[0].attributes['network.peer.port']).to.be.a('number');
    expect(seen[0].links).to.have.length(1);
  });

  describe('the parent', () => {
    it('O2 OT3 is the span of the client', async () => {
      const span = await traced({}, { metadata: metadataOf({ traceparent: PARENT }) });
      expect(span.spanContext().traceId).to.equal(REMOTE.traceId);
      expect(span.parentSpanContext?.spanId).to.equal(REMOTE.spanId);
      expect(span.links).to.deep.equal([]);
    });

    it('OT3 is nobody when the client has none, or one that is broken', async () => {
      expect((await traced({})).parentSpanContext).to.equal(undefined);
      const broken = { metadata: metadataOf({ traceparent: '00-nonsense' }) };
      expect((await traced({}, broken)).parentSpanContext).to.equal(undefined);
    });

    for (const publicEndpoint of [true, () => true])
      it(`OT3 is linked where clients are strangers (${typeof publicEndpoint})`, async () => {
        const metadata = metadataOf({ traceparent: PARENT });
        const { links, parentSpanContext, ...span } = await traced({ publicEndpoint }, { metadata });
        expect(parentSpanContext).to.equal(undefined);
        expect(links.map(link => link.context.spanId)).to.deep.equal([REMOTE.spanId]);
        expect(span.reply.code).to.equal(0);
      });

    it('is not a span that was active when the server was started, or called from here', async () => {
      const boot = trace.getTracer('application').startSpan('boot', { kind: SpanKind.SERVER });
      await context.with(trace.setSpan(ROOT_CONTEXT, boot), async () => {
        const { instrumentationScope, parentSpanContext } = await traced({});
        expect([instrumentationScope.name, parentSpanContext]).to.deep.equal(['leat', undefined]);
      });
      boot.end();
    });
  });

  it('OT15 does nothing for a span that is not sampled, and metrics stay right', async () => {
    await use({ sampler: { shouldSample: () => ({ decision: 0 }) } });
    let counted: unknown = 'nothing';
    const look: Middleware = call => ({
      end() {
        ({ counted } = call as { counted?: unknown });
      },
    });
    await (await serve('mount', () => [1, 2], [tracing(), look])).call();
    await until('it is over', () => counted !== 'nothing');
    expect(counted).to.equal(undefined);
    await (await serve('mount', () => [1, 2], [tracing(), metrics()])).call();
    expect(otel.spans).to.deep.equal([]);
    const { 'leat.server.sent.messages': sent } = await otel.collect();
    expect(sent?.dataPoints.map(({ value }) => value)).to.deep.equal([2]);
  });

  it('O10 OT16 puts those headers and trailers on the span that are listed', async () => {
    const source: AnySource = async function* (_request, call) {
      call.header.set('x-shard', '7');
      call.header.set('x-secret', 'no');
      yield 1;
      call.trailer.set('x-cursor-bin', Buffer.from([1, 2, 3]));
      throw new StatusError(status.ABORTED, 'again', { metadata: metadataOf({ 'x-why': 'moved' }) });
    };
    const metadata = metadataOf({ 'x-tenant': 'a', authorization: 'secret', 'x-id-bin': Buffer.from('id') });
    metadata.add('x-tenant', 'b');
    const { attributes } = await traced(
      {
        requestHeaders: ['X-Tenant', 'x-id-bin', 'x-absent'],
        responseHeaders: ['x-shard'],
        responseTrailers: ['X-Cursor-Bin', 'x-why'],
      },
      { source, metadata },
    );
    const captured = Object.entries(attributes).filter(([key]) => /^rpc\.re(quest|sponse)\./.test(key));
    expect(Object.fromEntries(captured)).to.deep.equal({
      'rpc.request.header.x-tenant': ['a, b'],
      'rpc.request.header.x-id-bin': ['aWQ='],
      'rpc.response.header.x-shard': ['7'],
      'rpc.response.trailer.x-cursor-bin': ['AQID'],
      'rpc.response.trailer.x-why': ['moved'],
    });
  });

  it('O10 OT16 puts none there unless asked', async () => {
    const { attributes } = await traced({}, { metadata: metadataOf({ authorization: 'secret' }) });
    expect(Object.keys(attributes).filter(key => /header|trailer|metadata/.test(key))).to.deep.equal([]);
  });

  it('OT17 leaves health checks and reflection out, and what `only` does not pick', () => {
    const skipped = (path: string, middleware = tracing()) => {
      return middleware({ ...fakeCall(), path }, { message() {} }) === undefined;
    };
    expect(skipped('/grpc.health.v1.Health/Watch')).to.equal(true);
    expect(skipped('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo')).to.equal(true);
    const picking = only(call => call.path !== '/spec.Service/Stream', tracing());
    expect(skipped('/spec.Service/Stream', picking)).to.equal(true);
    layerOf(tracing(), fakeCall()).end({ code: 0, details: '', reason: 'completed' });
    expect(otel.servers()).to.have.length(1);
  });

  it('OT18 links a stream to the one that it resumes, in the trace of its own client', async () => {
    let token: string | undefined;
    const source: AnySource = async function* () {
      token = traceparent();
      yield 1;
    };
    const first = await traced({}, { source });
    const metadata = metadataOf({ traceparent: PARENT, token: String(token) });
    const links: TracingOptions['links'] = call => resumed(String(call.metadata.get('token')[0]));
    const second = await traced({ links }, { metadata });
    expect(second.parentSpanContext?.spanId).to.equal(REMOTE.spanId);
    expect(second.attributes['leat.stream.resumed']).to.equal(true);
    expect(second.links).to.have.length(1);
    expect(second.links[0]?.context).to.include({
      traceId: first.spanContext().traceId,
      spanId: first.spanContext().spanId,
    });
    expect(second.links[0]?.attributes).to.deep.equal({ 'leat.link.type': 'resume' });
    expect(first.attributes).not.to.have.property('leat.stream.resumed');
    // Neither throws, whatever a client put into its token.
    for (const token of [null, 5, {}, [], Symbol('token'), 'nonsense'] as never[])
      expect([resumed(token), traceparent(token)]).to.deep.equal([undefined, undefined]);
    expect([resumed(undefined), resumed('nonsense'), traceparent()]).to.deep.equal([
      undefined,
      undefined,
      undefined,
    ]);
  });

  describe('for streams that last', () => {
    beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'setInterval'] }));
    afterEach(() => mock.timers.reset());

    it('OT19 says how far a stream has come, less and less often', () => {
      const call = fakeCall();
      const layer = layerOf(tracing({ progress: { intervalMs: 1000, max: 5 } }), call);
      for (let second = 0; second < 3600; second++) {
        call.stats.messages += 1;
        mock.timers.tick(1000);
      }
      layer.end(completed);
      mock.timers.tick(1_000_000);
      const events = otel.servers()[0]?.events ?? [];
      expect(events.map(({ name }) => name)).to.deep.equal(Array(5).fill('leat.stream.progress'));
      const at = events.map(({ attributes }) => attributes?.['leat.stream.message.count']);
      expect(at).to.deep.equal([1, 3, 7, 15, 31]);
    });

    it('OT19 says so in the logs where somebody takes them', () => {
      const { loggerProvider } = otel;
      const layer = layerOf(tracing({ progress: { intervalMs: 60_000 }, loggerProvider }), fakeCall());
      for (let minute = 0; minute < 60; minute++) mock.timers.tick(60_000);
      layer.end(completed);
      expect(otel.logs.map(({ eventName }) => eventName)).to.deep.equal(
        Array(60).fill('leat.stream.progress'),
      );
      expect(otel.servers()[0]?.events).to.deep.equal([]);
    });

    it('O9 OT19 exports segments before the stream ends', () => {
      const call = fakeCall();
      const layer = layerOf(tracing({ segmentMs: 60_000 }), call);
      for (let minute = 1; minute <= 3; minute++) {
        call.stats.messages += minute;
        mock.timers.tick(60_000);
        expect(otel.spans).to.have.length(minute);
      }
      layer.end(completed);
      mock.timers.tick(600_000);
      const server = otel.servers()[0];
      const segments = otel.spans.filter(({ kind }) => kind === SpanKind.INTERNAL);
      expect(otel.spans.at(-1)).to.equal(server);
      expect(
        segments.map(({ attributes, name, parentSpanContext }) => [
          name,
          attributes['leat.stream.segment.index'],
          attributes['leat.stream.message.count'],
          parentSpanContext?.spanId,
        ]),
      ).to.deep.equal(
        [1, 2, 3, 0].map((count, index) => [
          'spec.Service/Stream segment',
          index,
          count,
          server?.spanContext().spanId,
        ]),
      );
    });
  });

  describe('the names', () => {
    const rpc = ({ attributes }: Finished) =>
      Object.fromEntries(Object.entries(attributes).filter(([key]) => key.startsWith('rpc.')));
    const stable = {
      'rpc.system.name': 'grpc',
      'rpc.method': 'spec.Service/Stream',
      'rpc.status_code': 'OK',
    };
    const old = {
      'rpc.system': 'grpc',
      'rpc.service': 'spec.Service',
      'rpc.method': 'Stream',
      'rpc.grpc.status_code': 0,
    };

    it('OT35 are the stable ones, the old ones, or both', async () => {
      expect(rpc(await traced({}))).to.deep.equal(stable);
      const before = await traced({ semconv: 'old' });
      expect(before.name).to.equal('grpc.spec.Service/Stream');
      expect(rpc(before)).to.deep.equal(old);
      const both = await traced({ semconv: 'dup' });
      expect(both.name).to.equal('spec.Service/Stream');
      expect(rpc(both)).to.deep.equal({ ...old, ...stable });
    });

    it('OT35 are those that the environment asks for, unless an option does', async () => {
      const wanted: [string, object][] = [
        ['http,rpc/dup', { ...old, ...stable }],
        ['rpc/old', old],
        ['rpc, rpc/dup', { ...old, ...stable }],
        ['rpc,rpc/old', stable],
        ['http/dup', stable],
        ['', stable],
      ];
      try {
        for (const [value, attributes] of wanted) {
          process.env.OTEL_SEMCONV_STABILITY_OPT_IN = value;
          expect(rpc(await traced({})), value).to.deep.equal(attributes);
        }
        process.env.OTEL_SEMCONV_STABILITY_OPT_IN = 'rpc/old';
        expect(rpc(await traced({ semconv: 'stable' }))).to.deep.equal(stable);
      } finally {
        delete process.env.OTEL_SEMCONV_STABILITY_OPT_IN;
      }
    });

    it('say where the call came from and went to, in every form an address has', () => {
      const forms: [string, string, object][] = [
        ['example.com:443', '10.1.2.3:50000', { s: 'example.com', sp: 443, p: '10.1.2.3', pp: 50000 }],
        ['[::1]:50051', '::1:50000', { s: '::1', sp: 50051, p: '::1', pp: 50000 }],
        ['example.com', 'unknown', { s: 'example.com' }],
        ['', 'unknown', {}],
      ];
      for (const [host, peer] of forms) layerOf(tracing(), { ...fakeCall(), host, peer }).end(completed);
      const keys = [
        ['s', 'server.address'],
        ['sp', 'server.port'],
        ['p', 'network.peer.address'],
        ['pp', 'network.peer.port'],
      ] as const;
      otel.servers().forEach(({ attributes }, index) => {
        const found = keys.flatMap(([key, name]) => (name in attributes ? [[key, attributes[name]]] : []));
        expect(Object.fromEntries(found)).to.deep.equal(forms[index]?.[2]);
      });
    });
  });

  describe('a hook that fails', () => {
    const fail = () => {
      throw new Error('not today');
    };
    for (const hook of ['links', 'spanAttributes', 'isError', 'publicEndpoint'] as const)
      it(`breaks no call, and is told of once: ${hook}`, async () => {
        expected = new RegExp(`leat tracing: ${hook} failed; calls go on without it .*not today`);
        const middleware = tracing({ [hook]: fail });
        const server = await serve('mount', () => [1, 2], [middleware]);
        for (let num = 0; num < 3; num++) expect((await server.call()).messages).to.deep.equal([1, 2]);
        await until('all are over', () => otel.servers().length === 3);
        for (const { attributes } of otel.servers()) expect(attributes['rpc.status_code']).to.equal('OK');
      });

    it('may even be the logger of OpenTelemetry itself', async () => {
      diag.setLogger(
        { error: fail, warn: fail, info: fail, debug: fail, verbose: fail },
        { suppressOverrideMessage: true },
      );
      const { reply } = await traced({ links: fail });
      expect(reply.messages).to.deep.equal([1]);
    });

    it('may be a provider', async () => {
      expected = /leat tracing: a span failed/;
      const tracerProvider = { getTracer: fail };
      const reply = await (await serve('mount', () => [1], [tracing({ tracerProvider })])).call();
      expect([reply.code, reply.messages]).to.deep.equal([0, [1]]);
    });
  });

  it('lets `isError` decide in both directions', async () => {
    const source: AnySource = () => {
      throw new StatusError(status.NOT_FOUND, 'no such job');
    };
    const { attributes, status: verdict } = await traced({ isError: ({ code }) => code === 5 }, { source });
    expect(attributes['error.type']).to.equal('NOT_FOUND');
    expect(verdict).to.deep.equal({ code: SpanStatusCode.ERROR, message: 'no such job' });
  });

  it('takes a provider of its own', async () => {
    const mine = otel.tracerProvider;
    trace.disable();
    await (await serve('mount', () => [1], [tracing({ tracerProvider: mine })])).call();
    await until('it is over', () => otel.servers().length === 1);
  });
});
