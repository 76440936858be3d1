import { createHash } from 'node:crypto';
import { Metadata, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { type Call, configure, counters, type Middleware, StatusError } from '../../lib/index.ts';
import { batch } from '../../middleware/batch.ts';
import { checksum } from '../../middleware/checksum.ts';
import { type Ending, type MetadataOptions, metadata } from '../../middleware/metadata.ts';
import {
  type AnySource,
  deferred,
  type MountName,
  mountNames,
  serve,
  stopAll,
  until,
} from '../support/harness.ts';

const numbers: AnySource = ({ max }) => Array.from({ length: max }, (_, index) => index + 1);

/** Yields once, then waits for the end of the call. */
const parked: AnySource = async function* (_request, call: Call) {
  yield 'first';
  await new Promise(resolve => call.signal.addEventListener('abort', resolve));
};

/** A source that does something to its call and yields one message. */
const doing = (work: (call: Call) => void): AnySource =>
  async function* (_request, call) {
    work(call);
    yield 'one';
  };

describe('metadata()', () => {
  afterEach(stopAll);
  for (const on of mountNames) describe(`on ${on}`, () => behaves(on));

  describe('options', () => {
    const hopByHop = [
      'connection',
      'te',
      'trailer',
      'transfer-encoding',
      'keep-alive',
      'content-type',
      'content-length',
    ];
    for (const name of [...hopByHop, 'Upgrade', 'host', ':status'])
      it(`H1 refuses ${name}, fixed and computed, as header and as trailer`, () => {
        for (const kind of ['header', 'trailer'] as const)
          for (const value of ['x', () => 'x'])
            expect(() => metadata({ [kind]: { [name]: value } })).to.throw(
              TypeError,
              `Expected a ${kind} that may be sent, got \`${name}\`, which is reserved`,
            );
      });

    for (const name of ['grpc-status', 'grpc-message', 'grpc-encoding'])
      it(`H2 refuses ${name}`, () => {
        expect(() => metadata({ trailer: { [name]: '0' } })).to.throw(TypeError, 'which is reserved');
      });

    it('H3 refuses text that is not ASCII, also under -bin, and bytes under any other name', () => {
      for (const [options, message] of [
        [{ header: { 'x-name': 'Zoë' } }, '`header.x-name` to be printable ASCII, got `Zoë`'],
        [
          { header: { 'X-Name-Bin': 'Zoe' } },
          '`header.X-Name-Bin` to be bytes, as it ends in `-bin`, got `Zoe`',
        ],
        [
          { trailer: { 'x-name': Buffer.from('Zoë') } },
          '`trailer.x-name` to be printable ASCII, got `Buffer`',
        ],
      ] as const)
        expect(() => metadata(options)).to.throw(TypeError, `Expected ${message}`);
      expect(() => metadata({ trailer: { 'x name': 'Zoe' } })).to.throw(TypeError, 'illegal characters');
    });

    for (const [name, value] of [
      ['x-name', 'Zoë'],
      ['x-name', 'two\nlines'],
      ['x-name', Buffer.from('Zoe')],
      ['x-name-bin', 'Zoe'],
    ] as const)
      it(`H3 names the ${name} that is ${value.constructor.name} ${JSON.stringify(String(value))} once computed`, async () => {
        const errors: unknown[] = [];
        const told = configure({ onError: error => errors.push(error) });
        for (const kind of ['header', 'trailer'] as const) {
          const server = await serve('mount', () => [1], [
            told,
            metadata({ [kind]: { [name]: () => value } }),
          ]);
          expect((await server.call()).details).to.equal('internal error');
          expect(String(errors.pop())).to.include(`TypeError: Expected \`${kind}.${name}\` to be `);
        }
      });

    const wrong: [MetadataOptions, string][] = [
      [{ header: 'x' as never }, 'Expected `header` to be an object of names and values, got `x` (string)'],
      [
        { trailer: null as never },
        'Expected `trailer` to be an object of names and values, got `null` (object)',
      ],
      [
        { header: { x: null as never } },
        'Expected `header.x` to be text, a number, bytes or a list of these, got `null` (object)',
      ],
      [
        { trailer: { x: {} as never } },
        'Expected `trailer.x` to be text, a number, bytes or a list of these, got `Object` (object)',
      ],
      [
        { header: { x: ['a', undefined as never] } },
        'Expected `header.x` to be text, a number, bytes or a list of these, got `undefined` (undefined)',
      ],
      [
        { header: { x: true as never } },
        'Expected `header.x` to be text, a number, bytes or a list of these, got `true` (boolean)',
      ],
      [{ flush: 1 as never }, 'Expected `flush` to be a boolean, got `1` (number)'],
    ];
    for (const [options, sentence] of wrong)
      it(`refuses ${JSON.stringify(options)}`, () => {
        expect(() => metadata(options)).to.throw(TypeError, sentence);
      });
  });
});

function behaves(on: MountName): void {
  it('sets fixed and computed headers and trailers', async () => {
    const server = await serve(on, numbers, [
      metadata({
        header: { 'x-fixed': 'f', 'x-path': call => call.path, 'x-none': () => undefined },
        trailer: { 'x-number': 42, 'x-count': ({ messages }) => messages, 'x-code': e => e.outcome.code },
      }),
    ]);
    const { header, trailer } = await server.call({ max: 3 });
    expect(header?.getMap()).to.include({ 'x-fixed': 'f', 'x-path': '/spec.Service/Stream' });
    expect(header?.get('x-none')).to.deep.equal([]);
    expect(trailer.getMap()).to.include({ 'x-number': '42', 'x-count': '3', 'x-code': '0' });
  });

  it('computes trailers from count, bytes, duration and outcome, after batches went out', async () => {
    const endings: Ending[] = [];
    const look = (ending: Ending) => void endings.push(ending);
    const merge = (list: unknown[]): any => list;
    const server = await serve(on, numbers, [
      metadata({ trailer: { 'x-look': look } }),
      batch({ maxItems: 2, merge }),
    ]);
    await server.call({ max: 3 });
    const [{ messages, bytes, durationMs, outcome, call }] = endings as [Ending];
    expect({ messages, bytes, reason: outcome.reason, path: call.path }).to.deep.equal({
      messages: 2,
      bytes: '[1,2][3]'.length,
      reason: 'completed',
      path: '/spec.Service/Stream',
    });
    expect(durationMs).to.be.within(0.001, 2000);
  });

  it('counts all of a batch that is larger than the window and goes out at the end', async () => {
    const trailer = {
      'x-count': ({ messages }: Ending) => messages,
      'x-bytes': ({ bytes }: Ending) => bytes,
    };
    const server = await serve(on, numbers, [metadata({ trailer }), batch({ maxItems: 10_000 })]);
    const reply = await server.call({ max: 999 });
    expect(reply.messages).to.have.length(999);
    expect(reply.trailer.getMap()).to.include({ 'x-count': '999', 'x-bytes': String(9 + 180 + 2700) });
  });

  it('H4 leaves the details of a status readable', async () => {
    const source: AnySource = () => {
      throw new StatusError(status.INVALID_ARGUMENT, `bad \ud800 ${'x'.repeat(100_000)}`);
    };
    const server = await serve(on, source, [metadata({ trailer: { 'x-t': 't' } })]);
    const { code, details, trailer } = await server.call();
    expect(code).to.equal(status.INVALID_ARGUMENT);
    expect(details.startsWith('bad \ufffd xxx')).to.equal(true);
    expect(Buffer.byteLength(details)).to.be.at.most(4096);
    expect(trailer.get('x-t')).to.deep.equal(['t']);
  });

  it('H5 sends no more trailers than clients read, and says so', async () => {
    const server = await serve(on, numbers, [
      metadata({ trailer: { 'x-large': 'x'.repeat(9000), 'x-small': 's' } }),
    ]);
    const dropped = counters().droppedMetadata;
    const { code, trailer } = await server.call({ max: 1 });
    expect(code).to.equal(0);
    expect(trailer.getMap()).to.include({ 'x-small': 's', 'leat-truncated': '1' });
    expect(trailer.get('x-large')).to.deep.equal([]);
    expect(counters().droppedMetadata).to.equal(dropped + 1);
  });

  it('H6 keeps the order of several values', async () => {
    const list = ['b', 'a', 'b', 'c'];
    const server = await serve(on, numbers, [
      metadata({ header: { 'x-list': list }, trailer: { 'x-list': () => list } }),
    ]);
    const { header, trailer } = await server.call({ max: 1 });
    expect(header?.get('x-list').join(', ')).to.equal('b, a, b, c');
    expect(trailer.get('x-list').join(', ')).to.equal('b, a, b, c');
  });

  it('H7 sends binary values byte by byte', async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    const server = await serve(on, numbers, [
      metadata({
        header: { 'x-all-bin': bytes },
        trailer: { 'x-all-bin': () => [bytes, bytes.slice(1, 3)] },
      }),
    ]);
    const { header, trailer } = await server.call({ max: 1 });
    expect(header?.get('x-all-bin')).to.deep.equal([Buffer.from(bytes)]);
    expect(trailer.get('x-all-bin')).to.deep.equal([Buffer.from(bytes), Buffer.from([1, 2])]);
  });

  it('H8 sends trailers on errors too, beside those of the error', async () => {
    const own = new Metadata();
    own.set('x-own', 'o');
    const source: AnySource = async function* () {
      yield 1;
      throw new StatusError(status.NOT_FOUND, 'no such job', { metadata: own });
    };
    const server = await serve(on, source, [
      metadata({ trailer: { 'x-fixed': 'f', 'x-reason': ({ outcome }) => outcome.reason } }),
    ]);
    const { code, trailer } = await server.call();
    expect(code).to.equal(status.NOT_FOUND);
    expect(trailer.getMap()).to.include({ 'x-own': 'o', 'x-fixed': 'f', 'x-reason': 'error' });
  });

  it('H9 gives each call its own', async () => {
    let calls = 0;
    const source = doing(call => {
      call.header.add('x-list', `of call ${++calls}`);
      call.trailer.add('x-line', `of call ${calls}`);
    });
    const server = await serve(on, source, [
      metadata({ header: { 'x-list': ['a'] }, trailer: { 'x-line': 't' } }),
    ]);
    const [first, second] = [await server.call(), await server.call()];
    expect(first.header?.get('x-list').join(', ')).to.equal('a, of call 1');
    expect(second.header?.get('x-list').join(', ')).to.equal('a, of call 2');
    expect(second.trailer.get('x-line').join(', ')).to.equal('t, of call 2');
  });

  it('H10 flushes headers before the first message, with what the source set at once', async () => {
    const gate = deferred();
    const source: AnySource = (_request, call: Call) => {
      call.header.set('x-source', 's');
      return (async function* () {
        await gate.promise;
        yield 1;
      })();
    };
    const server = await serve(on, source, [metadata({ header: { 'x-fixed': 'f' }, flush: true })]);
    const calling = server.open();
    const header: Metadata = await new Promise(resolve => calling.stream.once('metadata', resolve));
    expect(header.getMap()).to.include({ 'x-source': 's', 'x-fixed': 'f' });
    gate.resolve();
    expect((await calling.reply).messages).to.deep.equal([1]);
  });

  it('H10 flushes also when there is no header, and sends none for a call that fails at once', async () => {
    const server = await serve(on, parked, [metadata({ flush: true }), batch({ maxDelayMs: 10_000 })]);
    const calling = server.open();
    await new Promise(resolve => calling.stream.once('metadata', resolve));
    calling.cancel();
    await calling.reply;
    const failing: AnySource = () => {
      throw new StatusError(status.NOT_FOUND, 'no');
    };
    const other = await serve(on, failing, [metadata({ flush: true })]);
    expect((await other.call()).code).to.equal(status.NOT_FOUND);
  });

  it('H11 refuses a header that comes too late, and only warns in production', async () => {
    const late: AnySource = async function* (_request, call: Call) {
      yield 1;
      call.header.set('x-late', 'l');
      yield 2;
    };
    const seen: unknown[] = [];
    const watch: Middleware = () => ({ end: ({ cause }) => void seen.push((cause as Error)?.message) });
    const server = await serve(on, late, [watch, metadata({ header: { 'x-fixed': 'f' } })]);
    expect((await server.call()).code).to.equal(status.UNKNOWN);
    if (on !== 'interceptor')
      expect(seen).to.deep.equal(['The header `x-late` was set after the headers were sent']);

    const warnings: string[] = [];
    const warned = (warning: Error) => warnings.push(warning.message);
    const before = process.env.NODE_ENV;
    process.on('warning', warned);
    process.env.NODE_ENV = 'production';
    try {
      const { code, messages, header } = await server.call();
      expect({ code, messages }).to.deep.equal({ code: 0, messages: [1, 2] });
      expect(header?.get('x-late')).to.deep.equal([]);
      await until('the warning', () => warnings.some(text => text.includes('`x-late`')));
    } finally {
      process.off('warning', warned);
      if (before === undefined) delete process.env.NODE_ENV;
      else process.env.NODE_ENV = before;
    }
  });

  it('H12 lets layers and the source add headers until they are sent, and trailers until the end', async () => {
    const source = doing(call => call.trailer.set('x-source', 's'));
    const server = await serve(on, source, [
      metadata({ header: { 'x-outer': 'o', 'x-both': 'outer' }, trailer: { 'x-both': () => 'outer' } }),
      metadata({ header: { 'x-inner': 'i', 'x-both': 'inner' }, trailer: { 'x-both': () => 'inner' } }),
    ]);
    const { header, trailer } = await server.call();
    expect(header?.getMap()).to.include({ 'x-outer': 'o', 'x-inner': 'i', 'x-both': 'inner' });
    expect(trailer.getMap()).to.include({ 'x-source': 's', 'x-both': 'outer' });
  });

  it('lets the source replace what is fixed', async () => {
    const source = doing(call => {
      call.header.set('x-h', 'source');
      call.trailer.set('x-t', 'source');
    });
    const server = await serve(on, source, [
      metadata({ header: { 'x-h': 'fixed' }, trailer: { 'x-t': 'fixed' } }),
    ]);
    const { header, trailer } = await server.call();
    expect([header?.get('x-h'), trailer.get('x-t')]).to.deep.equal([['source'], ['source']]);
  });

  it('fails the call when a function throws, or what it returns cannot be sent', async () => {
    const broken = () => {
      throw new StatusError(status.UNAUTHENTICATED, 'who are you?');
    };
    const header = await serve(on, numbers, [metadata({ header: { 'x-who': broken } })]);
    expect((await header.call({ max: 1 })).code).to.equal(status.UNAUTHENTICATED);
    const trailer = await serve(on, numbers, [metadata({ trailer: { 'x-who': () => 'Zoë' } })]);
    expect((await trailer.call({ max: 1 })).code).to.equal(status.UNKNOWN);
  });

  describe('checksum()', () => {
    const bytes = (message: unknown) => JSON.stringify(message);
    const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

    it('sums up the messages as they go, in a trailer', async () => {
      const server = await serve(on, numbers, [checksum({ bytes })]);
      const { trailer } = await server.call({ max: 12 });
      expect(trailer.get('x-checksum')).to.deep.equal([sha256('123456789101112')]);
      expect((await server.call({ max: 0 })).trailer.get('x-checksum')).to.deep.equal([sha256('')]);
    });

    it('sums up what was sent before an error, and by another hash', async () => {
      const source: AnySource = async function* () {
        yield 'a';
        throw new StatusError(status.DATA_LOSS, 'lost');
      };
      const options = { bytes: () => Buffer.from('a'), algorithm: 'md5', trailer: 'x-md5' };
      const server = await serve(on, source, [checksum(options)]);
      const { trailer, code } = await server.call();
      expect(code).to.equal(status.DATA_LOSS);
      expect(trailer.get('x-md5')).to.deep.equal(['0cc175b9c0f1b6a831c399e269772661']);
    });
  });
}

describe('checksum() options', () => {
  const wrong: [object, string][] = [
    [{}, 'Expected `bytes` to be a function, got `undefined` (undefined)'],
    [
      { bytes: String, algorithm: 'rot13' },
      'Expected `algorithm` to be a hash of `node:crypto`, got `rot13`',
    ],
    [{ bytes: String, trailer: 'te' }, 'Expected a trailer that may be sent, got `te`, which is reserved'],
  ];
  for (const [options, sentence] of wrong)
    it(`refuses ${JSON.stringify(options)}`, () => {
      expect(() => checksum(options as never)).to.throw(TypeError, sentence);
    });
});
