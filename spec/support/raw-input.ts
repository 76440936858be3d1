import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { block, frame, request as typed } from './raw-client.ts';

/** Who serves the calls; `over` means that an interceptor of ours lies below a mount of ours. */
export const variants = [
  'mount',
  'produce',
  'wrap',
  'wrap async',
  'interceptor',
  'interceptor async',
  'interceptor over mount',
  'interceptor over produce',
  'interceptor over wrap',
] as const;
export type Variant = (typeof variants)[number];

/** What a source does, or a handler, once it is started. */
const deeds = ['parks', 'is silent', 'ends', 'fails', 'ends late', 'streams'] as const;
export type Deed = (typeof deeds)[number];

/** What a client does next: to its connection, or to the stream that it opened last. */
export type Step =
  | readonly ['open' | 'open and end', Readonly<Record<string, string>>]
  | readonly ['send' | 'send and end', hex: string]
  | readonly ['end' | 'end with trailers' | 'leave' | 'cut' | 'half-close']
  | readonly ['reset' | 'goaway', code: number]
  | readonly ['wait', ms: number]
  | readonly ['frame', keyof typeof frames];

/** All that one client does, and who is there to bear it: JSON that `raw-http2.full.ts --replay` takes. */
export interface Input {
  readonly on: Variant;
  readonly does: Deed;
  /** A client that does not read: HTTP/2 lets so many bytes through, and no more. */
  readonly window?: number;
  readonly steps: readonly Step[];
}

/** What no client library sends, straight into the connection; streams from 101 on are not the client's own. */
export const frames = {
  'ping of 3 bytes': frame(6, 0, 0, '010203'),
  'ping answered': frame(6, 1, 0, '0102030405060708'),
  'ping on a stream': frame(6, 0, 1, '0102030405060708'),
  'settings of 5 bytes': frame(4, 0, 0, '0003000000'),
  'settings without a window': frame(4, 0, 0, '000400000000'),
  'settings of too large a window': frame(4, 0, 0, '0004ffffffff'),
  'window of nothing': frame(8, 0, 0, '00000000'),
  'window of nothing for a stream': frame(8, 0, 1, '00000000'),
  'window overflows': frame(8, 0, 1, '7fffffff'),
  'window of the connection overflows': frame(8, 0, 0, '7fffffff'),
  'data for nobody': frame(0, 0, 0, '0000000000'),
  'data for an idle stream': frame(0, 0, 99, '0000000000'),
  'data past its padding': frame(0, 8, 1, 'ff00'),
  'data that breaks off': frame(0, 0, 1, '0000', 100),
  'reset of an idle stream': frame(3, 0, 99, '00000008'),
  'reset of 3 bytes': frame(3, 0, 1, '000000'),
  'continuation of nothing': frame(9, 4, 1, ''),
  'priority on itself': frame(2, 0, 1, '0000000110'),
  'promise by a client': frame(5, 4, 1, '00000002'),
  'frame of no known type': frame(0xbb, 0xff, 1, 'abcd'),
  'frame of 16 MB': frame(0, 0, 1, '', 0xffffff),
  'headers on an even stream': frame(1, 4, 2, block(typed)),
  'headers that break off': frame(1, 0, 101, block(typed)),
  'headers that are none': frame(1, 5, 101, 'ffffffffff'),
  'headers in capitals': frame(1, 4, 101, block({ ...typed, TE: 'trailers' })),
  'headers without te, and a request': frame(1, 4, 101, block(typed)) + frame(0, 1, 101, '0000000000'),
  'headers of a connection, and a request':
    frame(1, 4, 101, block({ ...typed, connection: 'close', te: 'gzip' })) + frame(0, 1, 101, '0000000000'),
  'headers twice': frame(1, 4, 101, block(typed)) + frame(1, 4, 101, block(typed)),
  'a request, then its reset':
    frame(1, 4, 101, block(typed)) + frame(0, 1, 101, '0000000000') + frame(3, 0, 101, '00000008'),
  'a request, then goaway':
    frame(1, 4, 101, block(typed)) + frame(0, 1, 101, '0000000000') + frame(7, 0, 0, '0000000000000000'),
  'HTTP/1.1': Buffer.from('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n').toString('hex'),
} satisfies Record<string, string>;

const message = (content: string, flag = '00', length = content.length / 2) =>
  flag + length.toString(16).padStart(8, '0') + content;
const empty = message('');

const bodies: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(empty, message('6869')) },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      // A length that is not: 2^31 - 1, 2^32 - 1, just over the 4 MiB that grpc-js takes, too long, too short.
      message('', '00', 0x7fffffff),
      message('', '00', 0xffffffff),
      message('', '00', 0x400001),
      message('616263', '00', 10),
      message('616263', '00', 1),
      // One that breaks off within its prefix, and one that nobody can read.
      '0000',
      '00',
      message('ff'),
      // Compressed, or said to be; flags that do not exist.
      message(gzipSync('hi').toString('hex'), '01'),
      message('abcdef', '01'),
      message('', '01'),
      message('', '02'),
      message('', 'ff'),
      empty + empty,
      empty + message('', '00', 0x7fffffff),
      empty.repeat(20),
      '',
    ),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 12 }).map(bytes => Buffer.from(bytes).toString('hex')) },
);

const timeouts = [
  '100m',
  '20m',
  '60m',
  '150m',
  '1m',
  '0n',
  '1n',
  '50000u',
  '5u',
  '0S',
  '1S',
  '99999999H',
  '600H',
].concat(['1M', '123456789S', '-1m', '1x', 'm', '', '1.5S', ' 1S', '10', '1m1m']);

const headers: fc.Arbitrary<Record<string, string>> = fc.oneof(
  { weight: 8, arbitrary: fc.constant({}) },
  { weight: 6, arbitrary: fc.record({ 'grpc-timeout': fc.constantFrom(...timeouts) }) },
  {
    weight: 2,
    arbitrary: fc.record({ 'grpc-encoding': fc.constantFrom('gzip', 'deflate', 'identity', 'foo', '') }),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom<Record<string, string>>(
      { ':method': 'GET' },
      { ':method': 'OPTIONS' },
      { ':path': '/raw.Service/Nothing' },
      { ':path': '/' },
      { ':path': '*' },
      { ':authority': '' },
      { 'content-type': 'application/grpc+json' },
      { 'content-type': 'application/grpc-web' },
      { 'content-type': 'text/html' },
      { 'content-type': '' },
      { te: '' },
      { te: 'gzip' },
      { connection: 'close' },
      { 'X-Capital': 'x' },
      { ':status': '200' },
      { 'x-big': 'v'.repeat(9000) },
      { 'x-bad-bin': '%%%' },
      { traceparent: '00-zz-zz-zz' },
      { traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`, tracestate: '=,=' },
      { expect: '100-continue' },
      { 'content-length': '3' },
    ),
  },
);

const wait = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(0, 1, 2) },
  { weight: 3, arbitrary: fc.integer({ min: 3, max: 50 }) },
  { weight: 2, arbitrary: fc.integer({ min: 51, max: 150 }) },
);
const waits = wait.map(ms => ['wait', ms] as const);
const opens = fc.tuple(fc.constant('open' as const), headers);
const sends = fc.tuple(fc.constant('send' as const), bodies);
const ends = fc.constant(['end'] as const);
const leaves = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constant('reset' as const), fc.constantFrom(8, 0, 1, 2, 5, 7, 11, 0xff)),
  },
  fc.tuple(fc.constant('goaway' as const), fc.constantFrom(0, 1, 2, 11)),
  fc.constantFrom<Step[]>(['leave'], ['cut'], ['half-close']),
);
const nonsense = fc.tuple(
  fc.constant('frame' as const),
  fc.constantFrom(...(Object.keys(frames) as (keyof typeof frames)[])),
);

/** A step that is there once in so many times. */
const once = (times: number, step: fc.Arbitrary<Step>) =>
  fc.oneof({ weight: 1, arbitrary: step }, { weight: times - 1, arbitrary: fc.constant(undefined) });

/** Much like a call, with something between any two of its parts. */
const call: fc.Arbitrary<Step[]> = fc
  .tuple(
    opens,
    once(2, waits),
    sends,
    once(2, waits),
    once(4, sends),
    once(6, leaves),
    once(8, nonsense),
    once(2, waits),
    fc.oneof({ weight: 7, arbitrary: ends }, { weight: 1, arbitrary: fc.constant(undefined) }),
    once(2, waits),
    once(4, leaves),
    once(8, nonsense),
  )
  .map(parts => parts.filter(part => part !== undefined));

const anything: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: sends },
  { weight: 4, arbitrary: waits },
  { weight: 3, arbitrary: ends },
  { weight: 2, arbitrary: opens },
  fc.tuple(fc.constant('send and end' as const), bodies),
  fc.tuple(fc.constant('open and end' as const), headers),
  fc.constant(['end with trailers'] as const),
  leaves,
  nonsense,
);

const steps: fc.Arbitrary<Step[]> = fc.oneof(
  { weight: 5, arbitrary: call },
  { weight: 2, arbitrary: fc.tuple(call, call).map(calls => calls.flat()) },
  { weight: 2, arbitrary: fc.array(anything, { maxLength: 10 }) },
);

export const input: fc.Arbitrary<Input> = fc
  .record({
    on: fc.constantFrom(...variants),
    does: fc.constantFrom(...deeds),
    window: fc.constantFrom(...Array(9).fill(undefined), 0, 0, 3, 100),
    steps,
  })
  .map(({ window, ...rest }) => (window === undefined ? rest : { ...rest, window }));
