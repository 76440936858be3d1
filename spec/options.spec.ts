import { Server, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { backoff, subscribe } from '../lib/client/index.ts';
import {
  type Call,
  compose,
  configure,
  counters,
  type Detail,
  drain,
  drainOn,
  interceptor,
  type Middleware,
  mount,
  only,
  produce,
  StatusError,
  wrap,
} from '../lib/index.ts';
import { collect } from '../lib/testing/index.ts';
import { batch } from '../middleware/batch.ts';
import { checksum } from '../middleware/checksum.ts';
import { errors } from '../middleware/errors.ts';
import { heartbeat } from '../middleware/heartbeat.ts';
import { limits } from '../middleware/limits.ts';
import { logging } from '../middleware/logging.ts';
import { metadata } from '../middleware/metadata.ts';
import { metrics } from '../middleware/metrics.ts';
import { tracing } from '../middleware/tracing.ts';
import { exotics } from './support/errors.ts';
import {
  type AnySource,
  definition,
  type MountName,
  mountNames,
  serve,
  start,
  stopAll,
  turn,
  until,
} from './support/harness.ts';

const source = () => [];
const server = new Server();
const detail: Detail = { typeUrl: 'type.googleapis.com/google.rpc.Help', value: new Uint8Array() };

/** What is said, and what it is said to. */
const misuse: Record<string, Record<string, () => unknown>> = {
  'configure()': {
    'Expected `maxUnackedMessages` to be an integer from 1 and up, got `0` (number)': () =>
      configure({ maxUnackedMessages: 0 }),
    'Expected `maxUnackedMessages` to be an integer from 1 and up, got `1.5` (number)': () =>
      configure({ maxUnackedMessages: 1.5 }),
    'Expected `maxUnackedMessages` to be an integer from 1 and up, got `NaN` (number)': () =>
      configure({ maxUnackedMessages: Number.NaN }),
    'Expected `maxUnackedMessages` to be an integer from 1 and up, got `Infinity` (number)': () =>
      configure({ maxUnackedMessages: Number.POSITIVE_INFINITY }),
    'Expected `maxUnackedMessages` to be an integer from 1 and up, got `7` (string)': () =>
      configure({ maxUnackedMessages: '7' as never }),
    'Expected `maxUnackedMessages` to be an integer from 1 and up, got `7` (bigint)': () =>
      configure({ maxUnackedMessages: 7n as never }),
    'Expected `maxUnackedBytes` to be an integer from 1 and up, got `-1` (number)': () =>
      configure({ maxUnackedBytes: -1 }),
    'Expected `maxUnackedBytes` to be an integer from 1 and up, got `null` (object)': () =>
      configure({ maxUnackedBytes: null as never }),
    'Expected `maxUnackedBytes` to be an integer from 1 and up, got `Symbol(many)` (symbol)': () =>
      configure({ maxUnackedBytes: Symbol('many') as never }),
    'Expected `cleanupGraceMs` to be a number of milliseconds from 0 to 2147483647, got `-1` (number)': () =>
      configure({ cleanupGraceMs: -1 }),
    'Expected `cleanupGraceMs` to be a number of milliseconds from 0 to 2147483647, got `NaN` (number)': () =>
      configure({ cleanupGraceMs: Number.NaN }),
    'Expected `cleanupGraceMs` to be a number of milliseconds from 0 to 2147483647, got `2147483648` (number)':
      () => configure({ cleanupGraceMs: 2147483648 }),
    'Expected `cleanupGraceMs` to be a number of milliseconds from 0 to 2147483647, got `1s` (string)': () =>
      configure({ cleanupGraceMs: '1s' as never }),
    'Expected `onError` to be a function, got `Object` (object)': () => configure({ onError: {} as never }),
    'Expected `onOrphan` to be a function, got `true` (boolean)': () =>
      configure({ onOrphan: true as never }),
    'Expected `onOrphan` to be a function, got `object` (object)': () =>
      configure({ onOrphan: Object.create(null) }),
    'Expected `onOrphan` to be a function, got `unprintable` (object)': () =>
      configure({
        onOrphan: Object.defineProperty({}, 'constructor', {
          get() {
            throw new Error('no');
          },
        }) as never,
      }),
  },
  'produce()': {
    'Expected `method` to be a function, got `Array` (object)': () => produce([1, 2] as never),
    'Expected `method` to be a function, got `undefined` (undefined)': () => produce(undefined as never),
    'Expected `middleware[0]` to be a function, got `undefined` (undefined)': () =>
      produce(source, undefined as never),
    'Expected `middleware[1]` to be a function, got `Array` (object)': () =>
      produce(source, () => {}, [] as never),
  },
  'wrap()': {
    'Expected `target` to be a handler or an implementation, got `5` (number)': () => wrap(5 as never),
    'Expected `target` to be a handler or an implementation, got `null` (object)': () => wrap(null as never),
    'Expected `middleware[0]` to be a function, got `tracing` (string)': () => wrap({}, 'tracing' as never),
  },
  'interceptor()': {
    'Expected `middleware[0]` to be a function, got `null` (object)': () => interceptor(null as never),
  },
  'compose()': {
    'Expected `middleware[1]` to be a function, got `1` (number)': () => compose(() => {}, 1 as never),
  },
  'only()': {
    'Expected `match` to be a function, or the definition of a method, got `/a/b` (string)': () =>
      only('/a/b' as never, () => {}),
    'Expected `match` to be a function, or the definition of a method, got `RegExp` (object)': () =>
      only(/a/ as never, () => {}),
    'Expected `middleware[0]` to be a function, got `undefined` (undefined)': () =>
      only(() => true, undefined as never),
  },
  'drain()': {
    'Expected `server` to be a grpc.Server, got `undefined` (undefined)': () => drain(undefined as never),
    'Expected `server` to be a grpc.Server, got `Object` (object)': () => drain({} as never),
    'Expected `graceMs` to be a number of milliseconds from 0 to 2147483647, got `-1` (number)': () =>
      drain(server, { graceMs: -1 }),
    'Expected `graceMs` to be a number of milliseconds from 0 to 2147483647, got `Infinity` (number)': () =>
      drain(server, { graceMs: Number.POSITIVE_INFINITY }),
    'Expected `retryMs` to be a number of milliseconds from 0 to 2147483647, got `soon` (string)': () =>
      drain(server, { retryMs: 'soon' as never }),
    'Expected `details` to be a string, got `Error` (object)': () =>
      drain(server, { details: new Error('no') as never }),
  },
  'drainOn()': {
    'Expected `after` to be a function, got `Promise` (object)': () =>
      drainOn(server, { after: Promise.resolve() as never }),
    'Expected `server` to be a grpc.Server, got `null` (object)': () => drainOn(null as never),
    'Expected `graceMs` to be a number of milliseconds from 0 to 2147483647, got `NaN` (number)': () =>
      drainOn(server, { graceMs: Number.NaN }),
    'Expected `signals` to be a list of signals, got `SIGTERM` (string)': () =>
      drainOn(server, { signals: 'SIGTERM' as never }),
    'Expected `signals` to be a list of signals, got `null` (object)': () =>
      drainOn(server, { signals: null as never }),
    'Expected `signals[1]` to be a signal that can be heard, got `SIGTREM` (string)': () =>
      drainOn(server, { signals: ['SIGTERM', 'SIGTREM' as never] }),
    'Expected `signals[0]` to be a signal that can be heard, got `SIGKILL` (string)': () =>
      drainOn(server, { signals: ['SIGKILL'] }),
    'Expected `signals[0]` to be a signal that can be heard, got `SIGSTOP` (string)': () =>
      drainOn(server, { signals: ['SIGSTOP', 'SIGTERM'] }),
  },
  'new StatusError()': {
    'Expected `code` to be a status from 1 to 16, got `0` (number)': () =>
      new StatusError(status.OK, 'no error'),
    'Expected `code` to be a status from 1 to 16, got `17` (number)': () =>
      new StatusError(17 as never, 'no'),
    'Expected `code` to be a status from 1 to 16, got `NOT_FOUND` (string)': () =>
      new StatusError('NOT_FOUND' as never, 'no'),
    'Expected `code` to be a status from 1 to 16, got `undefined` (undefined)': () =>
      new StatusError(undefined as never, 'no'),
    'Expected `details` to be a string, got `undefined` (undefined)': () =>
      new StatusError(status.NOT_FOUND, undefined as never),
    'Expected `details` to be a string, got `Error` (object)': () =>
      new StatusError(status.NOT_FOUND, new Error('no') as never),
    'Expected `options.details` to be a list of details, got `no` (string)': () =>
      new StatusError(status.NOT_FOUND, 'no', { details: 'no' as never }),
    'Expected `options.details[1]` to be a detail: a `typeUrl`, and bytes as its `value`, got `Object` (object)':
      () =>
        new StatusError(status.NOT_FOUND, 'no', { details: [detail, { ...detail, value: 'no' as never }] }),
    'Expected `options.details[0]` to be a detail: a `typeUrl`, and bytes as its `value`, got `null` (object)':
      () => new StatusError(status.NOT_FOUND, 'no', { details: [null as never] }),
  },
};

/** What takes options, given something else. */
const factories: Record<string, (given: never) => unknown> = {
  configure,
  backoff,
  batch,
  checksum,
  heartbeat,
  limits,
  logging,
  metadata,
  metrics,
  tracing,
  collect: given => collect(source, {}, given),
  drain: given => drain(server, given),
  drainOn: given => drainOn(server, given),
  errors,
  subscribe: given => subscribe(() => ({}) as never, {}, given),
};

/** Ways for a hook to fail. */
const failures: Record<string, () => unknown> = {
  throws: () => {
    throw new Error('of the hook');
  },
  'throws undefined': () => {
    throw undefined;
  },
  rejects: async () => {
    throw new Error('of the hook');
  },
  'answers a thenable that rejects': () => ({
    // biome-ignore lint/suspicious/noThenProperty: that is what this is about
    then(_: unknown, reject: (error: Error) => void) {
      reject(new Error('of the hook'));
    },
  }),
  'never answers': () => new Promise(() => {}),
  'answers nonsense': exotics['a proxy that throws']?.make as () => unknown,
};

describe('options', () => {
  afterEach(stopAll);

  for (const [name, sentences] of Object.entries(misuse)) {
    describe(`misuse of ${name}`, () => {
      for (const [sentence, act] of Object.entries(sentences)) {
        it(sentence, () => {
          const handlers = process.listenerCount('SIGTERM');
          expect(act).to.throw(TypeError).with.property('message', sentence);
          expect(process.listenerCount('SIGTERM'), 'nothing is left behind').to.equal(handlers);
        });
      }
    });
  }

  describe('misuse of whatever takes options', () => {
    for (const [name, make] of Object.entries(factories)) {
      it(`${name}() says that \`null\`, a number and a function are no options`, () => {
        for (const [given, shown] of [
          [null, '`null` (object)'],
          [5000, '`5000` (number)'],
          [source, '`source` (function)'],
        ] as const)
          expect(() => make(given as never))
            .to.throw(TypeError)
            .with.property('message', `Expected \`options\` to be an object, got ${shown}`);
      });
    }

    for (const name of ['configure', 'checksum', 'heartbeat', 'limits'])
      it(`${name}() says that it needs options`, () => {
        expect(() => factories[name]?.(undefined as never)).to.throw(
          TypeError,
          'Expected `options` to be an object, got `undefined` (undefined)',
        );
      });
  });

  it('shows a function by its name, not by its code', () => {
    expect(() => configure({ maxUnackedBytes: function many() {} as never })).to.throw(
      'Expected `maxUnackedBytes` to be an integer from 1 and up, got `many` (function)',
    );
  });

  it('takes every option at its bounds', () => {
    configure({ maxUnackedMessages: 1, maxUnackedBytes: 1, cleanupGraceMs: 0 });
    configure({
      maxUnackedMessages: Number.MAX_SAFE_INTEGER,
      maxUnackedBytes: Number.MAX_SAFE_INTEGER,
      cleanupGraceMs: 2147483647,
    });
    configure({});
  });

  for (const on of mountNames) describe(`on ${on}`, () => hooks(on));

  for (const on of ['produce', 'mount'] as const)
    for (const own of [false, true])
      it(`of an interceptor hear of ${on} within, ${own ? 'but for what has options of its own' : 'which has none'}`, async () => {
        const heard: string[] = [];
        const to = (who: string) =>
          configure({
            onError: error => heard.push(`${who}: ${error}`),
            onOrphan: ({ path }) => heard.push(`${who}: ${path}`),
          });
        const source: AnySource = async function* ({ stubborn }) {
          yield 1;
          if (stubborn) await new Promise(() => {});
          throw new Error('unknown');
        };
        const methods = { stream: source };
        const list = [configure({ cleanupGraceMs: 5 }), ...(own ? [to('its own')] : [])];
        const server = await start(
          server =>
            on === 'mount'
              ? mount(server, definition, methods, ...list)
              : server.addService(definition, { stream: produce(source, ...list) }),
          { interceptors: [interceptor(to('the interceptor'))] },
        );
        const who = own ? 'its own' : 'the interceptor';
        expect((await server.call()).code).to.equal(status.UNKNOWN);
        expect(heard.splice(0)).to.deep.equal([`${who}: Error: unknown`]);
        const calling = server.open({ stubborn: true });
        calling.stream.once('data', () => calling.cancel());
        await until('the orphan was reported', () => heard.length > 0);
        expect(heard).to.deep.equal([`${who}: /spec.Service/Stream`]);
      });
});

function hooks(on: MountName): void {
  const failing: AnySource = () => {
    throw new Error('unknown');
  };
  const stubborn: AnySource = async function* () {
    yield 'first';
    await new Promise(() => {});
  };

  it('lets the last options in the list win, one by one', async () => {
    const heard: string[] = [];
    const list: Middleware[] = [
      configure({ onError: () => heard.push('first'), cleanupGraceMs: 5 }),
      configure({ onError: () => heard.push('second') }),
      configure({ maxUnackedMessages: 1 }),
    ];
    const one = await serve(on, failing, list);
    await one.call();
    expect(heard).to.deep.equal(['second']);
  });

  it('takes `undefined` for an option that is not given', async () => {
    const heard: unknown[] = [];
    const one = await serve(on, failing, [
      configure({ onError: error => heard.push(error), maxUnackedMessages: 1, cleanupGraceMs: 5 }),
      configure({
        onError: undefined,
        onOrphan: undefined,
        maxUnackedMessages: undefined,
        maxUnackedBytes: undefined,
        cleanupGraceMs: undefined,
      } as never),
    ]);
    await one.call();
    expect(heard).to.have.length(1);
  });

  it('tells onError the call', async () => {
    const calls: Call[] = [];
    const one = await serve(on, failing, [configure({ onError: (_error, call) => void calls.push(call) })]);
    await one.call({ id: 7 });
    expect(calls.map(({ path, request }) => ({ path, request }))).to.deep.equal([
      { path: '/spec.Service/Stream', request: { id: 7 } },
    ]);
  });

  for (const [way, fail] of Object.entries(failures)) {
    it(`S22 changes nothing when onError ${way}`, async () => {
      let heard = 0;
      const onError = () => {
        heard += 1;
        return fail() as undefined;
      };
      const one = await serve(
        on,
        async function* () {
          yield 'first';
          throw new Error('unknown');
        },
        [configure({ onError })],
      );
      const { code, details, messages } = await one.call();
      expect({ code, details, messages }).to.deep.equal({
        code: status.UNKNOWN,
        details: 'internal error',
        messages: ['first'],
      });
      for (let i = 0; i < 3; i++) await turn();
      expect(heard).to.equal(1);
    });

    // A plain handler has no source that could be told from it.
    if (on === 'wrap' || on === 'interceptor') continue;

    it(`S3 S22 changes nothing when onOrphan ${way}`, async () => {
      const before = counters().orphans;
      const orphans: Call[] = [];
      const onOrphan = (call: Call) => {
        orphans.push(call);
        return fail() as undefined;
      };
      const one = await serve(on, stubborn, [configure({ onOrphan, cleanupGraceMs: 5 })]);
      const calling = one.open();
      calling.stream.once('data', () => calling.cancel());
      await calling.reply;
      await until('the orphan was reported', () => orphans.length > 0);
      for (let i = 0; i < 3; i++) await turn();
      expect(orphans.map(({ path }) => path)).to.deep.equal(['/spec.Service/Stream']);
      expect(counters().orphans).to.equal(before + 1);
    });
  }
}
