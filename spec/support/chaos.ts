import { pathToFileURL } from 'node:url';
import { Metadata, status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { interceptor, type Method, mount, produce, wrap } from '../../lib/index.ts';
import { answered } from './answered.ts';
import { foreignMetadata } from './errors.ts';
import {
  definition,
  type Handler,
  type MountName,
  mountNames,
  quiet,
  type Running,
  start,
  stopAll,
  turn,
} from './harness.ts';

/** One call that goes wrong in some way. */
interface Case {
  readonly on: MountName;
  /** How it fails. */
  readonly way:
    | 'throw'
    | 'reject'
    | 'message'
    | 'middleware'
    | 'start'
    | 'ready'
    | 'end'
    | 'outcome'
    | 'none';
  readonly thrown: Shape | { readonly plain: unknown };
  readonly header: Metadata | undefined;
  readonly trailer: Metadata | undefined;
}

/** Any sixteen bits, lone surrogates and control characters among them. */
const text = fc
  .array(fc.oneof(fc.nat(0x7f), fc.nat(0xffff), fc.integer({ min: 0xd800, max: 0xdfff })), { maxLength: 40 })
  .map(units => String.fromCharCode(...units));

const hugeText = fc.tuple(text, fc.nat(2000)).map(([some, times]) => some.repeat(times).slice(0, 20_000));

const anything = fc.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withObjectString: true,
  withSet: true,
  withSparseArray: true,
  withTypedArray: true,
});

const key = fc.oneof(
  fc.constantFrom(
    ...[
      'grpc-status',
      'grpc-message',
      'grpc-status-details-bin',
      ':status',
      'connection',
      'te',
      'host',
      'trailer',
    ],
    ...['transfer-encoding', 'keep-alive', 'upgrade', 'http2-settings', 'content-length', 'content-type'],
    ...['etag', 'date', 'age', 'set-cookie', 'x-a', 'x-b', 'x-a-bin', '__proto__', 'toString', '', ' '],
  ),
  fc.stringMatching(/^[0-9a-z_.-]{1,12}(-bin)?$/),
  text,
);

const value = fc.oneof(
  fc.stringMatching(/^[ -~]{0,30}$/),
  text,
  hugeText,
  fc.uint8Array({ maxLength: 50 }).map(bytes => Buffer.from(bytes)),
  anything,
);

/** Metadata that grpc-js made, metadata that pretends to be, and what is none. */
const metadata: fc.Arbitrary<Metadata | undefined> = fc.oneof(
  fc.constant(undefined),
  fc.array(fc.tuple(key, value), { maxLength: 12 }).map(entries => {
    const result = new Metadata();
    for (const [name, one] of entries) {
      try {
        result.add(name, one as string);
      } catch {
        // Refused, as by grpc-js.
      }
    }
    return result;
  }),
  fc.nat(400).map(count => {
    const result = new Metadata();
    for (let i = 0; i < count; i++) result.set(`x-${i}`, 'v');
    return result;
  }),
  fc
    .array(fc.tuple(key, fc.oneof(fc.array(value, { maxLength: 4 }), anything)), { maxLength: 8 })
    .map(entries => foreignMetadata(Object.fromEntries(entries))),
  anything as fc.Arbitrary<never>,
);

const code = fc.oneof(
  fc.integer({ min: -2, max: 20 }),
  fc.integer(),
  fc.double(),
  fc.constantFrom('ENOENT', '5', 5n, null, undefined),
  anything,
);

const kinds = {
  object: () => ({}),
  error: () => new Error('of a kind'),
  'type error': () => new TypeError('of a kind'),
  aggregate: () => new AggregateError([], ''),
  null: () => Object.create(null),
};
const forms = ['as it is', 'frozen', 'getters that throw', 'a proxy', 'a proxy that throws'] as const;

/** What to throw, in parts: some of it throws itself when it is looked at, and is made in the call. */
interface Shape {
  readonly kind: keyof typeof kinds;
  readonly form: (typeof forms)[number];
  readonly properties: Record<string, unknown>;
}

const shape: fc.Arbitrary<Shape> = fc.record({
  kind: fc.constantFrom(...(Object.keys(kinds) as (keyof typeof kinds)[])),
  form: fc.constantFrom(...forms),
  properties: fc.record(
    {
      code,
      details: fc.oneof(text, hugeText, anything),
      message: fc.oneof(text, hugeText, anything),
      metadata,
      cause: anything,
      name: fc.oneof(fc.constant('AbortError'), anything),
      reason: fc.oneof(fc.constantFrom('completed', 'error', 'cancelled', 'disconnected', 'limit'), anything),
    },
    { requiredKeys: [] },
  ),
});

function build({ kind, form, properties }: Shape): unknown {
  const target = kinds[kind]();
  for (const [name, one] of Object.entries(properties)) {
    const get = () => {
      throw one;
    };
    const hidden = form === 'getters that throw' && name !== 'code';
    Object.defineProperty(target, name, {
      configurable: true,
      enumerable: true,
      ...(hidden ? { get } : { value: one, writable: true }),
    });
  }
  if (form === 'frozen') return Object.freeze(target);
  if (form === 'a proxy') return new Proxy(target, {});
  if (form === 'a proxy that throws') return new Proxy(target, guarded(properties));
  return target;
}

function guarded(properties: Record<string, unknown>): ProxyHandler<object> {
  const refuse = () => {
    throw new Error('do not look at me');
  };
  return {
    get: (_target, name) => (name === 'code' || name === 'details' ? properties[name] : refuse()),
    has: refuse,
    getPrototypeOf: refuse,
    ownKeys: refuse,
    getOwnPropertyDescriptor: refuse,
  };
}

const cases: fc.Arbitrary<Case> = fc.record({
  on: fc.constantFrom(...mountNames),
  way: fc.constantFrom<Case['way']>(
    ...(['throw', 'reject', 'message', 'middleware', 'start', 'ready', 'end', 'outcome', 'none'] as const),
  ),
  thrown: fc.oneof(
    shape,
    anything.map(plain => ({ plain })),
  ),
  header: metadata,
  trailer: metadata,
});

/** Servers on all mounts, whose calls do what the case at hand says. */
async function laboratory(): Promise<(one: Case) => Promise<number>> {
  let now: Case;
  let thrown: unknown;
  const fail = () => {
    throw thrown;
  };
  const meddle = (call: any, _next: any): any => {
    if (now.way === 'middleware') fail();
    return {
      start(inner: () => void) {
        if (now.way === 'start') fail();
        if (now.way === 'outcome') return call.end(thrown);
        inner();
      },
      ready: () => (now.way === 'ready' ? Promise.reject(thrown) : undefined),
      end() {
        if (now.trailer) call.trailer.merge(now.trailer);
        if (now.way === 'end') fail();
      },
    };
  };
  const source: Method<unknown, unknown> = async function* (_request, call) {
    if (now.header) call.header.merge(now.header);
    if (now.way === 'throw') fail();
    yield 'first';
    if (now.way === 'message') yield thrown;
    if (now.way === 'reject') fail();
  };
  const handler: Handler = stream => {
    if (now.way === 'throw') fail();
    stream.sendMetadata(now.header as never);
    stream.write('first');
    if (now.way === 'message') stream.write(thrown);
    if (now.way !== 'reject') return void stream.end(now.trailer);
    try {
      stream.emit('error', thrown as Error);
    } catch {
      // What grpc-js cannot look at makes it throw, unless the handler is wrapped.
      stream.emit('error', { code: status.INTERNAL, details: '' } as never);
    }
  };
  const servers: Record<MountName, Running> = {
    produce: await start(one => one.addService(definition, { stream: produce(source, quiet, meddle) })),
    mount: await start(one => mount(one, definition, { stream: source }, quiet, meddle)),
    wrap: await start(one => one.addService(definition, { stream: wrap(handler, quiet, meddle) })),
    interceptor: await start(one => one.addService(definition, { stream: handler }), {
      interceptors: [interceptor(quiet, meddle)],
    }),
  };
  return async one => {
    now = one;
    thrown = 'plain' in one.thrown ? one.thrown.plain : build(one.thrown);
    const reply = await answered(servers[one.on], one.on, {}, 2000);
    return reply.code;
  };
}

/** Runs `runs` calls that go wrong in random ways: each ends with a legal status, and nothing escapes. */
export async function chaos(runs: number, seed?: number): Promise<void> {
  const escaped: unknown[] = [];
  const note = (error: unknown) => void escaped.push(error);
  process.on('unhandledRejection', note);
  process.on('uncaughtExceptionMonitor', note);
  const run = await laboratory();
  try {
    await fc.assert(
      fc.asyncProperty(cases, async one => {
        const code = await run(one);
        await turn();
        if (!Number.isInteger(code) || code < 0 || code > 16) throw new Error(`status ${code}`);
        if (escaped.length > 0) throw new Error('escaped', { cause: escaped.splice(0)[0] });
      }),
      { numRuns: runs, endOnFailure: runs > 10_000, ...(seed === undefined ? {} : { seed }) },
    );
  } finally {
    process.off('unhandledRejection', note);
    process.off('uncaughtExceptionMonitor', note);
    await stopAll();
  }
}

// tsx spec/support/chaos.ts [--full] [--seed=n]
if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  process.on('uncaughtException', error => console.error('escaped', error));
  const runs = process.argv.includes('--full') ? 1_000_000 : 10_000;
  const seed = process.argv.find(argument => argument.startsWith('--seed='))?.slice('--seed='.length);
  const began = performance.now();
  await chaos(runs, seed === undefined ? undefined : Number(seed));
  console.log(
    `${runs} calls, each ended with a legal status, in ${Math.round(performance.now() - began)} ms`,
  );
}
