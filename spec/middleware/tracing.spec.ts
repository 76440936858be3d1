import { readdirSync, readFileSync } from 'node:fs';
import { status } from '@grpc/grpc-js';
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { expect } from 'chai';
import { type Middleware, StatusError } from '../../lib/index.ts';
import { metrics } from '../../middleware/metrics.ts';
import { scope } from '../../middleware/otel/scope.ts';
import { deadlineIsNotError, tracing } from '../../middleware/tracing.ts';
import { type AnySource, mountNames, serve, stopAll, until } from '../support/harness.ts';
import { type Finished, logs, type Rig, startOtel } from '../support/otel.ts';
import { deaf, parked, play, scenarios } from '../support/otel-scenarios.ts';

/** Names that were taken out of the conventions before they became stable. */
const gone =
  /^(rpc\.(system$|service|grpc\.|response\.status_code|(request|response)\.metadata|message)|client\.|network\.(transport|type|protocol))/;
const errors = ['UNKNOWN', 'DEADLINE_EXCEEDED', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS'];

describe('tracing()', () => {
  let otel: Rig;
  beforeEach(() => {
    otel = startOtel();
  });
  afterEach('OT12 nobody complains, and every span that started has ended', async () => {
    await stopAll();
    await otel.stop();
    expect(otel.complaints).to.deep.equal([]);
    expect(otel.spans).to.have.length(otel.started);
  });

  const only = (): Finished => {
    expect(otel.servers()).to.have.length(1);
    return otel.servers()[0] as Finished;
  };

  for (const on of mountNames) {
    describe(`on ${on}`, () => {
      for (const [name, scenario] of Object.entries(scenarios)) {
        it(`O1 O3 ${name}`, async () => {
          const code = await play(on, scenario, [tracing()]);
          const { attributes, kind, name, status: verdict } = only();
          if (code !== undefined) expect(status[code]).to.equal(status[scenario.code]);
          expect(name).to.equal('spec.Service/Stream');
          expect(kind).to.equal(SpanKind.SERVER);
          expect(attributes).to.include({
            'rpc.system.name': 'grpc',
            'rpc.method': 'spec.Service/Stream',
            'rpc.status_code': status[scenario.code],
            'leat.stream.end_reason': scenario.reason,
          });
          expect(attributes['error.type']).to.equal(scenario.error ? status[scenario.code] : undefined);
          expect(verdict.code).to.equal(scenario.error ? SpanStatusCode.ERROR : SpanStatusCode.UNSET);
          expect(Object.keys(attributes).filter(key => gone.test(key))).to.deep.equal([]);
        });
      }

      it('OT4 ends the span within a tick of the cancellation', async () => {
        let ended: number | undefined;
        const probe: Middleware = () => ({
          end: () =>
            process.nextTick(() => {
              ended = otel.servers().length;
            }),
        });
        const server = await serve(on, deaf, [tracing(), probe]);
        const calling = server.open();
        calling.stream.once('data', () => calling.cancel());
        await until('the call is over', () => ended !== undefined);
        expect(ended).to.equal(1);
      });

      it('OT5 tells deadlines from cancellations, also when the client is first', async () => {
        // A server that is slow to hear of a call takes its deadline to be later than the client does.
        const late = new Set<string | undefined>();
        // A call whose client is gone before the server hears of it does not begin at all.
        let begun = 0;
        const probe: Middleware = call => {
          begun += 1;
          return {
            start(next) {
              const lag = Number(call.deadline) - call.request.deadline;
              if (lag > 20) late.add(trace.getActiveSpan()?.spanContext().spanId);
              next();
            },
          };
        };
        const server = await serve(on, parked, [tracing(), probe]);
        for (let batch = 0; batch < 20; batch++) {
          const deadlines = Array.from({ length: 10 }, (_, i) => Date.now() + 35 + i);
          await Promise.all(deadlines.map(deadline => server.call({ deadline }, { deadline })));
        }
        await until('all are over', () => otel.servers().length === begun);
        expect(begun - late.size, 'enough to look at').to.be.above(20);
        const seen = otel
          .servers()
          .filter(span => !late.has(span.spanContext().spanId))
          .map(({ attributes, status }) => [
            attributes['rpc.status_code'],
            attributes['error.type'],
            attributes['leat.stream.end_reason'],
            status.code,
          ]);
        for (const one of seen)
          expect(one).to.deep.equal([
            'DEADLINE_EXCEEDED',
            'DEADLINE_EXCEEDED',
            'deadline',
            SpanStatusCode.ERROR,
          ]);
      });

      it('OT6 maps each of the 16 codes as the conventions say', async () => {
        const source: AnySource = async function* ({ code }) {
          yield code;
          throw new StatusError(code, `this is ${code}`);
        };
        const server = await serve(on, source, [tracing()]);
        for (let code = 1; code <= 16; code++) {
          await server.call({ code });
          await until('it is over', () => otel.servers().length === code);
          const { attributes, events, status: verdict } = otel.servers().at(-1) as Finished;
          const name = status[code] as string;
          const error = errors.includes(name);
          expect(attributes['rpc.status_code']).to.equal(name);
          expect(attributes['error.type']).to.equal(error ? name : undefined);
          expect(verdict.code).to.equal(error ? SpanStatusCode.ERROR : SpanStatusCode.UNSET);
          if (error) expect(verdict.message).to.equal(`this is ${code}`);
          // What an interceptor sees of an error without a status is `UNKNOWN` and a message.
          const thrown = on === 'interceptor' && name === 'UNKNOWN';
          expect(events, name).to.have.length(thrown ? 1 : 0);
        }
      });

      it('O6 tells what was sent', async () => {
        const server = await serve(on, () => ['a', 'bc', 'def'], [tracing()]);
        await server.call();
        await until('it is over', () => otel.servers().length === 1);
        const { attributes } = only();
        expect(attributes).to.include({ 'leat.stream.message.count': 3, 'leat.stream.size': 12 });
        expect(attributes['leat.stream.time_to_first_message']).to.be.within(0, 1);
      });
    });
  }

  describe('OT7 an error that is no status', () => {
    const ways: Record<string, AnySource> = {
      'in the factory': () => {
        throw new RangeError('secret');
      },
      'before the first message': async function* () {
        yield* [];
        throw new RangeError('secret');
      },
      'after some': async function* () {
        yield* [1, 2, 3];
        throw new RangeError('secret');
      },
      'in finally': async function* () {
        try {
          yield 1;
        } finally {
          // biome-ignore lint/correctness/noUnsafeFinally: that is what is tried
          throw new RangeError('secret');
        }
      },
    };
    for (const on of ['produce', 'mount', 'wrap'] as const)
      for (const [way, source] of Object.entries(ways))
        it(`${way}, on ${on}, is one exception`, async () => {
          const { details } = await (await serve(on, source, [tracing()])).call();
          expect(details).to.equal('internal error');
          await until('it is over', () => otel.servers().length === 1);
          const { attributes, events, status: verdict } = only();
          expect(attributes['rpc.status_code']).to.equal('UNKNOWN');
          expect(verdict).to.deep.equal({ code: SpanStatusCode.ERROR, message: 'secret' });
          expect(events).to.have.length(1);
          expect(events[0]?.name).to.equal('exception');
          expect(events[0]?.attributes).to.include({
            'exception.type': 'RangeError',
            'exception.message': 'secret',
          });
        });

    it('is not recorded twice by a second middleware', async () => {
      await (await serve('mount', ways['after some'] as AnySource, [tracing(), tracing()])).call();
      await until('it is over', () => otel.servers().length === 1);
      expect(only().events).to.have.length(1);
    });

    it('is what was behind a status, where a status was made of it', async () => {
      const source: AnySource = () => {
        throw new StatusError(status.INTERNAL, 'try again', { cause: new TypeError('undefined is not') });
      };
      await (await serve('mount', source, [tracing()])).call();
      await until('it is over', () => otel.servers().length === 1);
      expect(only().events[0]?.attributes).to.include({ 'exception.type': 'TypeError' });
    });

    it('may be anything that can be thrown', async () => {
      const hostile = new Proxy(
        {},
        {
          get() {
            throw new Error('do not look');
          },
          getPrototypeOf() {
            throw new Error('do not look');
          },
        },
      );
      const odd: unknown[] = ['text', null, 7n, Object.create(null), Object.freeze({ a: 1 }), hostile];
      for (const thrown of [...odd, undefined]) {
        const source: AnySource = () => {
          throw thrown;
        };
        expect((await (await serve('mount', source, [tracing()])).call()).code).to.equal(status.UNKNOWN);
      }
      await until('all are over', () => otel.servers().length === 7);
      for (const { attributes, status: verdict } of otel.servers())
        expect([attributes['error.type'], verdict.code]).to.deep.equal(['UNKNOWN', SpanStatusCode.ERROR]);
      const types = otel.servers().map(({ events }) => events[0]?.attributes?.['exception.type']);
      expect(types).to.deep.equal(['string', 'object', 'bigint', 'object', 'object', 'object', undefined]);
    });

    it('is not what a source throws because it was cancelled', async () => {
      const source: AnySource = async function* (_request, { signal }) {
        yield 1;
        await new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError'))),
        );
      };
      const calling = (await serve('mount', source, [tracing()])).open();
      calling.stream.once('data', () => calling.cancel());
      await until('it is over', () => otel.servers().length === 1);
      expect(only().events).to.deep.equal([]);
    });

    it('goes where it was asked to go', async () => {
      const fail = ways['after some'] as AnySource;
      const { loggerProvider } = otel;
      for (const exceptions of ['off', 'logs', 'dup'] as const) {
        const server = await serve('mount', fail, [tracing({ exceptions, loggerProvider })]);
        await server.call();
      }
      await until('all are over', () => otel.servers().length === 3);
      expect(otel.servers().map(({ events }) => events.length)).to.deep.equal([0, 0, 1]);
      expect(otel.logs.map(({ eventName, severityNumber }) => [eventName, severityNumber])).to.deep.equal([
        ['rpc.server.call.exception', 17],
        ['rpc.server.call.exception', 17],
      ]);
      expect(otel.logs[0]?.attributes).to.include({ 'exception.message': 'secret' });
      expect(otel.logs[0]?.spanContext.spanId).to.equal(otel.servers()[1]?.spanContext().spanId);
    });

    it('goes where the environment says', async () => {
      const { loggerProvider } = otel;
      process.env.OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN = 'http, logs';
      try {
        await (await serve('mount', ways['after some'] as AnySource, [tracing({ loggerProvider })])).call();
      } finally {
        delete process.env.OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN;
      }
      await until('it is over', () => otel.servers().length === 1);
      expect([otel.logs.length, only().events.length]).to.deep.equal([1, 0]);
    });

    // `logs` came with version 1.10 of the API, which SDK 2 does not take: it runs with SDK 3, in spec/otel-matrix.ts.
    it('goes to the global logs; to the span, where this version of the API has none', async () => {
      logs?.setGlobalLoggerProvider(otel.loggerProvider);
      await (await serve('mount', ways['after some'] as AnySource, [tracing({ exceptions: 'logs' })])).call();
      await until('it is over', () => otel.servers().length === 1);
      expect([otel.logs.length, only().events.length]).to.deep.equal(logs ? [1, 0] : [0, 1]);
    });

    it('goes to the span where nobody takes logs', async () => {
      await (await serve('mount', ways['after some'] as AnySource, [tracing({ exceptions: 'logs' })])).call();
      await until('it is over', () => otel.servers().length === 1);
      expect(only().events).to.have.length(1);
    });

    it('keeps its message to itself when it has to', async () => {
      await (
        await serve('mount', ways['after some'] as AnySource, [tracing({ redactMessages: true })])
      ).call();
      await until('it is over', () => otel.servers().length === 1);
      expect(only().status).to.deep.equal({ code: SpanStatusCode.ERROR });
      expect(only().events[0]?.attributes).to.deep.equal({ 'exception.type': 'RangeError' });
    });
  });

  it('OT5 takes a deadline for a good end when told so, on the span and on the metric', async () => {
    const isError = deadlineIsNotError;
    const server = await serve('mount', parked, [tracing({ isError }), metrics({ isError })]);
    await server.call({}, { deadline: Date.now() + 50 });
    await until('it is over', () => otel.servers().length === 1);
    const { attributes, status: verdict } = only();
    expect(attributes['rpc.status_code']).to.equal('DEADLINE_EXCEEDED');
    expect(attributes).not.to.have.property('error.type');
    expect(verdict.code).to.equal(SpanStatusCode.UNSET);
    const [point] = (await otel.collect())['rpc.server.call.duration']?.dataPoints ?? [];
    expect(point?.attributes['rpc.status_code']).to.equal('DEADLINE_EXCEEDED');
    expect(point?.attributes).not.to.have.property('error.type');
  });

  it('is signed with the name and the version of the package', () => {
    const { name, version } = JSON.parse(
      readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
    );
    expect(scope).to.include({ name, version });
  });

  it('O7 the core imports neither OpenTelemetry nor a middleware', () => {
    const lib = new URL('../../lib/', import.meta.url);
    const files = readdirSync(lib, { recursive: true })
      .map(String)
      .filter(name => name.endsWith('.ts'));
    expect(files).to.include('index.ts');
    for (const file of files)
      expect(readFileSync(new URL(file, lib), 'utf8'), file).not.to.match(
        /from '[^']*(opentelemetry|middleware)/,
      );
  });

  it('refuses options that make no sense', () => {
    const wrong: [object, RegExp][] = [
      [{ semconv: 'new' }, /Expected `semconv` to be 'stable', 'dup' or 'old', got `new` \(string\)/],
      [{ existingSpan: 'keep' }, /Expected `existingSpan`/],
      [{ exceptions: 'all' }, /Expected `exceptions`/],
      [
        { tracerProvider: {} },
        /Expected `tracerProvider` to be a provider that has `getTracer`, got `Object`/,
      ],
      [
        { tracerProvider: null },
        /Expected `tracerProvider` to be a provider that has `getTracer`, got `null`/,
      ],
      [
        { loggerProvider: {} },
        /Expected `loggerProvider` to be a provider that has `getLogger`, got `Object`/,
      ],
      [{ filter: () => true }, /`filter` of `tracing\(\)` is gone: `only\(match, tracing\(\)\)` picks calls/],
      [{ links: [] }, /Expected `links` to be a function/],
      [{ requestHeaders: 'x' }, /Expected `requestHeaders` to be an array of names/],
      [{ responseTrailers: ['x', 'y z'] }, /Expected `responseTrailers\[1\]` to be the name of a header/],
      [{ progress: { intervalMs: 10 } }, /Expected `progress.intervalMs` to be at least 1000 milliseconds/],
      [{ segmentMs: Number.NaN }, /Expected `segmentMs`/],
    ];
    for (const [options, message] of wrong) expect(() => tracing(options)).to.throw(TypeError, message);
  });
});
