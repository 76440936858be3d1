import { constants } from 'node:http2';
import { Metadata, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { type Call, counters, interceptor, type Middleware, StatusError, wrap } from '../../lib/index.ts';
import { answered } from '../support/answered.ts';
import { foreignMetadata } from '../support/errors.ts';
import { connectRaw, frame, statusOf as rawStatusOf, requestRaw } from '../support/frames.ts';
import {
  type AnySource,
  deferred,
  definition,
  type Handler,
  type MountName,
  mountNames,
  quiet,
  type Reply,
  type Running,
  serve,
  start,
  stopAll,
  turn,
  until,
} from '../support/harness.ts';

/** What no application may send: gRPC's own, HTTP/2's own, and what HTTP/2 forbids. */
const reserved = [
  'grpc-status',
  'grpc-message',
  'grpc-encoding',
  'grpc-anything',
  'GRPC-Status',
  ':status',
  ':path',
  'connection',
  'Connection',
  'te',
  'trailer',
  'transfer-encoding',
  'keep-alive',
  'proxy-connection',
  'upgrade',
  'host',
  'content-length',
  'content-type',
];

const statusOf = ({ code, details }: Reply) => ({ code, details });

/** Metadata as grpc-js makes it, with entries in order. */
function metadataOf(entries: readonly (readonly [string, string | Buffer])[]): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of entries) metadata.add(key, value);
  return metadata;
}

/** The same in sizes: `count` entries of `bytes` bytes each, keys included. */
function sized(count: number, bytes: number): Metadata {
  return metadataOf(
    Array.from({ length: count }, (_, i) => {
      const key = `x-${i}`;
      return [key, 'v'.repeat(bytes - key.length)];
    }),
  );
}

const sizeOf = (metadata: Metadata) =>
  Object.entries(metadata.toJSON())
    .flatMap(([key, values]) => values.map(value => key.length + Buffer.byteLength(value)))
    .reduce((sum, bytes) => sum + bytes, 0);

describe('metadata', () => {
  afterEach(stopAll);
  for (const on of mountNames) describe(`on ${on}`, () => metadata(on));
  for (const on of ['wrap', 'interceptor'] as const)
    describe(`of an existing handler on ${on}`, () => existing(on));
});

function metadata(on: MountName): void {
  /** Runs once in a call, in its source, and gives back what that threw. */
  async function inCall(act: (call: Call) => void): Promise<unknown> {
    let thrown: unknown;
    const server = await serve(on, () => ['first'], [
      call => {
        try {
          act(call);
        } catch (error) {
          thrown = error;
        }
      },
    ]);
    const { code, messages } = await server.call();
    expect({ code, messages }).to.deep.equal({ code: status.OK, messages: ['first'] });
    return thrown;
  }

  for (const kind of ['header', 'trailer'] as const) {
    it(`H1 H2 refuses reserved keys when they are set, in the ${kind}`, async () => {
      await inCall(call => {
        const metadata = call[kind];
        for (const key of reserved) {
          const message = `Expected a ${kind} that may be sent, got \`${key}\`, which is reserved`;
          expect(() => metadata.set(key, '1'), key).to.throw(TypeError, message);
          expect(() => metadata.add(key, '1'), key).to.throw(TypeError, message);
          expect(() => metadata.merge(foreignMetadata({ [key]: ['1'] })), key).to.throw(TypeError, message);
        }
        expect(metadata.getMap()).to.deep.equal({});
      }).then(thrown => expect(thrown).to.equal(undefined));
    });

    it(`H3 refuses text that is not ASCII when it is set, in the ${kind}`, async () => {
      await inCall(call => {
        for (const text of ['ü', '\n', '\0', 'a\r\nb: c', '\ud800'])
          expect(() => call[kind].set('x-text', text), JSON.stringify(text)).to.throw(/illegal characters/);
        expect(() => call[kind].set('x y', 'text')).to.throw(/illegal characters/);
        expect(() => call[kind].set('x-bin', 'text')).to.throw(/Buffer/);
        expect(() => call[kind].set('x-text', Buffer.from('x'))).to.throw(/String/);
        expect(call[kind].getMap()).to.deep.equal({});
      }).then(thrown => expect(thrown).to.equal(undefined));
    });

    it(`H6 keeps the order of duplicate keys, in the ${kind}`, async () => {
      const server = await serve(on, () => ['first'], [
        call => {
          for (const value of ['c', 'a', 'b', 'a']) call[kind].add('x-list', value);
          for (const value of [3, 1, 2]) call[kind].add('x-list-bin', Buffer.from([value]));
        },
      ]);
      const reply = await server.call();
      expect(reply[kind]?.get('x-list').join(', ')).to.equal('c, a, b, a');
      expect(reply[kind]?.get('x-list-bin')).to.deep.equal([3, 1, 2].map(byte => Buffer.from([byte])));
    });

    it(`H7 sends binary values byte by byte, in the ${kind}`, async () => {
      const values = [
        Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
        Buffer.from([0]),
        Buffer.from([255, 255]),
        Buffer.from('ü, 1'),
      ];
      const server = await serve(on, () => ['first'], [
        call => values.forEach((value, i) => void call[kind].set(`x-${i}-bin`, value)),
      ]);
      const reply = await server.call();
      values.forEach((value, i) => {
        expect(reply[kind]?.get(`x-${i}-bin`)).to.deep.equal([value]);
      });
    });

    it(`takes values that types forbid as grpc-js does, in the ${kind}`, async () => {
      const server = await serve(on, () => ['first'], [
        call => {
          call[kind].set('x-number', 7 as never);
          call[kind].set('x-true', true as never);
          call[kind].set('x-undefined', undefined as never);
          call[kind].set('x-text', 'text');
        },
      ]);
      const reply = await answered(server, kind);
      expect(reply.code).to.equal(status.OK);
      const { 'x-number': number, 'x-true': yes, 'x-text': text } = reply[kind]?.getMap() ?? {};
      expect([number, yes, text]).to.deep.equal(['7', 'true', 'text']);
      expect(reply[kind]?.get('x-undefined')).to.deep.equal([]);
    });
  }

  it('H4 sends details as well-formed Unicode', async () => {
    const server = await serve(on, ({ details }) => {
      throw new StatusError(status.NOT_FOUND, details);
    });
    // JSON carries lone surrogates as escapes, so that they arrive in the request.
    for (const [details, expected] of [
      ['\ud800', '\ufffd'],
      ['a\udc00b', 'a\ufffdb'],
      ['😀\ud83d', '😀\ufffd'],
      ['\ude00\ud83d', '\ufffd\ufffd'],
      ['line\r\nbreak\0', 'line\r\nbreak\0'],
      ['100 % ü', '100 % ü'],
    ]) {
      const reply = await answered(server, JSON.stringify(details), { details });
      expect(statusOf(reply)).to.deep.equal({ code: status.NOT_FOUND, details: expected });
    }
  });

  it('H5 sends trailers up to 8 KiB as they are', async () => {
    const server = await serve(on, () => ['first'], [call => call.trailer.merge(sized(8, 1024))]);
    const { trailer, code } = await server.call();
    expect(code).to.equal(status.OK);
    expect(Object.keys(trailer.getMap())).to.have.length(8);
  });

  it('H5 X4 drops the largest of larger trailers, keeps the rest, and says so', async () => {
    const server = await serve(on, () => ['first'], [
      call => {
        call.trailer.set('x-small', 'kept');
        call.trailer.set('x-large', 'l'.repeat(6000));
        call.trailer.set('x-larger', 'l'.repeat(7000));
        call.trailer.set('x-large-bin', Buffer.alloc(3000));
      },
    ]);
    const before = counters().droppedMetadata;
    const { trailer, code } = await server.call();
    expect(code).to.equal(status.OK);
    expect(Object.keys(trailer.getMap()).sort()).to.deep.equal(['leat-truncated', 'x-large-bin', 'x-small']);
    expect(trailer.get('leat-truncated')).to.deep.equal(['1']);
    expect(counters().droppedMetadata).to.equal(before + 2);
  });

  it('H5 keeps within 8 KiB with the mark', async () => {
    const server = await serve(on, () => ['first'], [
      call => {
        call.trailer.set('x-a', 'a'.repeat(8192 - 3));
        call.trailer.set('x-b', 'b'.repeat(8192));
      },
    ]);
    expect(sizeOf((await server.call()).trailer)).to.be.at.most(8192);
  });

  it('H5 drops what an application sends before the details of the status', async () => {
    const server = await serve(on, () => ['first'], [
      call => call.trailer.merge(sized(5, 1000)),
      (): { message(): void } => ({
        message() {
          throw new StatusError(status.INVALID_ARGUMENT, 'bad', {
            details: [{ typeUrl: 'type.googleapis.com/google.rpc.Help', value: Buffer.alloc(5000) }],
          });
        },
      }),
    ]);
    const { trailer } = await server.call();
    expect(trailer.get('leat-truncated')).to.deep.equal(['1']);
    expect((trailer.get('grpc-status-details-bin')[0] as Buffer).length).to.be.above(5000);
  });

  it('H5 leaves a client its status, however many trailers there are', async () => {
    const server = await serve(on, () => ['first'], [call => call.trailer.merge(sized(500, 8))]);
    const reply = await answered(server, 'many trailers');
    expect(statusOf(reply)).to.deep.equal({ code: status.OK, details: 'OK' });
    expect(reply.trailer.get('leat-truncated')).to.deep.equal(['1']);
  });

  it('answers, and goes on serving, when headers are larger than HTTP/2 takes', async () => {
    const server = await serve(on, ({ bytes }, call) => {
      call.header.set('x-large', 'x'.repeat(bytes));
      call.header.set('x-small', 'kept');
      return ['first'];
    });
    for (const bytes of [100, 100_000, 100]) {
      const reply = await answered(server, `${bytes}`, { bytes });
      expect(reply.code).to.equal(status.OK);
      expect(reply.messages).to.deep.equal(['first']);
      expect(reply.header?.get('x-small')).to.deep.equal(['kept']);
    }
  });

  it('H8 sends trailers on errors too, before and after the headers', async () => {
    const source: AnySource = async function* ({ sent }, call) {
      call.trailer.set('x-trailer', 't');
      if (sent) yield 'first';
      throw new StatusError(status.NOT_FOUND, 'no');
    };
    const server = await serve(on, source);
    for (const sent of [false, true]) {
      const { trailer, code } = await server.call({ sent });
      expect(code).to.equal(status.NOT_FOUND);
      expect(trailer.get('x-trailer')).to.deep.equal(['t']);
    }
  });

  it('H8 S18 sends trailers that are set in finally', async () => {
    const source: AnySource = async function* ({ fail }, call) {
      let sent = 0;
      try {
        yield ++sent;
        if (fail) throw new StatusError(status.NOT_FOUND, 'no');
      } finally {
        call.trailer.set('x-sent', String(sent));
      }
    };
    const server = await serve(on, source);
    for (const fail of [false, true])
      expect((await server.call({ fail })).trailer.get('x-sent')).to.deep.equal(['1']);
  });

  it('S18 lets a finally that sets trailers run to its end after a cancel', async () => {
    const log: unknown[] = [];
    const source: AnySource = async function* (_request, call) {
      try {
        yield 'first';
        await new Promise(resolve => call.signal.addEventListener('abort', resolve));
      } finally {
        call.trailer.set('x-sent', '1');
        log.push('released');
      }
    };
    const server = await serve(on, source);
    const calling = server.open();
    calling.stream.once('data', () => calling.cancel());
    await calling.reply;
    await until('the source is released', () => log.length > 0);
    expect(log).to.deep.equal(['released']);
  });

  it('H9 copies metadata: what one call is given reaches no other', async () => {
    const shared = metadataOf([['x-shared', 'once']]);
    const error = new StatusError(status.NOT_FOUND, 'no', { metadata: shared });
    let count = 0;
    const server = await serve(on, (_request, call) => {
      call.trailer.merge(shared);
      call.trailer.add('x-call', String(++count));
      throw error;
    });
    const first = await server.call();
    const second = await server.call();
    expect(first.trailer.get('x-call')).to.deep.equal(['1']);
    expect(second.trailer.get('x-call')).to.deep.equal(['2']);
    expect(shared.toJSON()).to.deep.equal({ 'x-shared': ['once'] });
  });

  it('H9 sends a header as it was when it was sent', async () => {
    const bytes = Buffer.from([1, 2, 3]);
    const server = await serve(on, () => ['first'], [
      call => {
        call.header.set('x-key-bin', bytes);
        call.sendHeader();
        bytes.fill(9);
      },
    ]);
    expect((await server.call()).header?.get('x-key-bin')).to.deep.equal([Buffer.from([1, 2, 3])]);
  });

  it('H10 flushes the headers when they are asked for, before the first message', async () => {
    const gate = deferred();
    const early: Middleware = call => {
      call.header.set('x-early', 'yes');
      call.sendHeader();
    };
    const server = await serve(
      on,
      async function* () {
        await gate.promise;
        yield 'first';
      },
      [early],
    );
    const calling = server.open();
    const header = await new Promise<Metadata>(resolve => calling.stream.once('metadata', resolve));
    expect(header.get('x-early')).to.deep.equal(['yes']);
    gate.resolve();
    expect((await calling.reply).messages).to.deep.equal(['first']);
  });

  for (const [mode, check] of Object.entries({
    development: (thrown: unknown, warnings: unknown[]) => {
      expect(thrown).to.include({ message: 'The header `x-late` was set after the headers were sent' });
      expect(warnings).to.deep.equal([]);
    },
    production: (thrown: unknown, warnings: unknown[]) => {
      expect(thrown).to.equal(undefined);
      expect(warnings).to.deep.equal(['LEAT_LATE_METADATA']);
    },
  })) {
    it(`H11 ${mode === 'production' ? 'warns' : 'throws'} when a header is set after they were sent, in ${mode}`, async () => {
      const warnings: unknown[] = [];
      const warned = ({ code }: Error & { code?: string }) => void (code && warnings.push(code));
      process.on('warning', warned);
      const { NODE_ENV } = process.env;
      process.env.NODE_ENV = mode;
      try {
        const thrown = await inCall(call => {
          const { header } = call;
          header.set('x-early', 'yes');
          call.sendHeader();
          header.set('x-late', 'no');
        });
        await turn();
        check(thrown, warnings);
      } finally {
        if (NODE_ENV === undefined) delete process.env.NODE_ENV;
        else process.env.NODE_ENV = NODE_ENV;
        process.off('warning', warned);
      }
    });
  }

  it('H12 lets every layer add headers until they are sent, and trailers until the end', async () => {
    const late: Middleware = (call, next) => {
      let first = true;
      return {
        message(message) {
          if (first) call.header.set('x-with-the-first', 'yes');
          first = false;
          next.message(message);
        },
        end: () => call.trailer.set('x-at-the-end', 'yes'),
      };
    };
    const server = await serve(on, () => ['first', 'second'], [late]);
    const { header, trailer } = await server.call();
    expect(header?.get('x-with-the-first')).to.deep.equal(['yes']);
    expect(trailer.get('x-at-the-end')).to.deep.equal(['yes']);
  });

  it('H1 survives every name HTTP/2 has a rule for, once and twice, in header and trailer', async () => {
    const names = Object.entries(constants)
      .filter(([constant]) => constant.startsWith('HTTP2_HEADER_'))
      .map(([, name]) => String(name));
    expect(names).to.include('etag');
    const server = await serve(on, ({ name, values, where }, call) => {
      const metadata = foreignMetadata({ [name]: values });
      if (where === 'trailer') throw { code: status.NOT_FOUND, details: 'no', metadata };
      call.header.merge(metadata);
      call.sendHeader();
      throw { code: status.NOT_FOUND, details: 'no' };
    });
    const session = connectRaw(server.port);
    const answers: Record<string, string | undefined> = {};
    for (const name of names)
      for (const values of [['1'], ['1', '1']])
        for (const where of ['header', 'trailer']) {
          const body = frame(Buffer.from(JSON.stringify({ name, values, where })));
          answers[`${name} ${values} in ${where}`] = await rawStatusOf(requestRaw(session, body));
        }
    session.destroy();
    const wrong = Object.entries(answers).filter(([, code]) => code !== '5' && code !== '2');
    expect(wrong).to.deep.equal([]);
  });
}

/** What comes from a handler that was written for grpc-js is not refused, but dropped and counted. */
function existing(on: 'wrap' | 'interceptor'): void {
  const serveHandler = (handler: Handler, middleware: Middleware[] = []): Promise<Running> =>
    start(
      server =>
        server.addService(definition, {
          stream: on === 'wrap' ? wrap(handler, quiet, ...middleware) : handler,
        }),
      on === 'wrap' ? {} : { interceptors: [interceptor(quiet, ...middleware)] },
    );

  const forbidden = reserved.filter(key => !key.startsWith(':'));
  const ways: Record<string, (metadata: Metadata) => Handler> = {
    'its headers': metadata => stream => {
      stream.sendMetadata(metadata);
      stream.end();
    },
    'its trailers': metadata => stream => {
      stream.write('first');
      stream.end(metadata);
    },
    'its trailers, without a message': metadata => stream => stream.end(metadata),
    'its error': metadata => stream =>
      void stream.emit('error', { code: status.NOT_FOUND, details: 'no', metadata } as never),
  };

  for (const [way, handler] of Object.entries(ways)) {
    it(`H1 H2 X2 X3 drops and counts reserved keys of ${way}`, async () => {
      const metadata = metadataOf(forbidden.map(key => [key, '9']));
      metadata.set('x-mine', 'kept');
      const keys = new Set(forbidden.map(key => key.toLowerCase())).size;
      const server = await serveHandler(handler(metadata));
      const before = counters().droppedMetadata;
      const reply = await answered(server, way);
      expect(reply.code).to.equal(way === 'its error' ? status.NOT_FOUND : status.OK);
      const received = way === 'its headers' ? reply.header : reply.trailer;
      expect(received?.get('x-mine')).to.deep.equal(['kept']);
      for (const values of Object.values(received?.toJSON() ?? {})) expect(values).not.to.include('9');
      // A value twice under one key in two cases counts twice.
      expect(counters().droppedMetadata - before).to.be.within(keys, forbidden.length);
      expect((await server.call()).code, 'still serves').to.equal(reply.code);
    });

    it(`H3 drops and counts what is not ASCII in ${way}`, async () => {
      const metadata = foreignMetadata({ 'x-text': ['ü', 'ok', 'a\r\nb'], 'x y': ['1'], 'x-mine': ['kept'] });
      Object.assign(metadata, { options: {}, getOptions: () => ({}) });
      const server = await serveHandler(handler(metadata));
      const before = counters().droppedMetadata;
      const reply = await answered(server, way);
      const received = way === 'its headers' ? reply.header : reply.trailer;
      expect(received?.get('x-mine')).to.deep.equal(['kept']);
      expect(received?.get('x-text')).to.deep.equal(['ok']);
      expect(counters().droppedMetadata - before).to.equal(3);
    });

    it(`X4 bounds ${way}`, async () => {
      const server = await serveHandler(handler(sized(3, 100_000)));
      const reply = await answered(server, way);
      const received = way === 'its headers' ? reply.header : reply.trailer;
      expect(reply.code).to.equal(way === 'its error' ? status.NOT_FOUND : status.OK);
      expect(received?.get('leat-truncated')).to.deep.equal(['1']);
      expect(received?.get('x-0')).to.deep.equal([]);
    });
  }

  it('H6 H7 keeps order and bytes of what it sends', async () => {
    const metadata = metadataOf([
      ['x-list', 'b'],
      ['x-list', 'a'],
      ['x-key-bin', Buffer.from([0, 255])],
    ]);
    const server = await serveHandler(stream => {
      stream.sendMetadata(metadata);
      stream.write('first');
      stream.end(metadata);
    });
    const reply = await server.call();
    for (const received of [reply.header, reply.trailer]) {
      expect(received?.get('x-list').join(', ')).to.equal('b, a');
      expect(received?.get('x-key-bin')).to.deep.equal([Buffer.from([0, 255])]);
    }
  });

  it('H9 does not change the metadata it was given', async () => {
    const metadata = metadataOf([['x-mine', '1']]);
    const server = await serveHandler(
      stream => {
        stream.sendMetadata(metadata);
        stream.end(metadata);
      },
      [
        call => {
          call.header.set('x-ours', '1');
          call.trailer.set('x-ours', '1');
        },
      ],
    );
    for (let i = 0; i < 2; i++) {
      const reply = await server.call();
      expect(reply.header?.get('x-ours')).to.deep.equal(['1']);
      expect(reply.trailer.toJSON()).to.deep.equal({ 'x-ours': ['1'], 'x-mine': ['1'] });
    }
    expect(metadata.toJSON()).to.deep.equal({ 'x-mine': ['1'] });
  });

  it('H12 sends the trailers of layers beside its own', async () => {
    const server = await serveHandler(
      stream => {
        stream.write('first');
        stream.end(metadataOf([['x-mine', 'm']]));
      },
      [call => ({ end: () => call.trailer.set('x-layer', 'l') })],
    );
    expect((await server.call()).trailer.toJSON()).to.deep.equal({ 'x-layer': ['l'], 'x-mine': ['m'] });
  });

  it('survives headers that are none', async () => {
    for (const metadata of [undefined, null, {}, 'x', 5]) {
      const server = await serveHandler(stream => {
        stream.sendMetadata(metadata as never);
        stream.write('first');
        stream.end();
      });
      expect((await answered(server, String(metadata))).messages).to.deep.equal(['first']);
    }
  });
}
