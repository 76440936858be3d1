import { createRequire } from 'node:module';
import { expect } from 'chai';
import fc from 'fast-check';
import type { ServerCall } from '../../lib/call/call.ts';
import type { Middleware, Requests } from '../../lib/index.ts';
import { insideOf } from '../../lib/inside.ts';
import { Deframer } from '../../lib/wire/deframer.ts';
import { frame } from '../support/frames.ts';
import { mountNames, stopAll } from '../support/harness.ts';
import { calling, serveKind } from '../support/kinds.ts';

interface Decoder {
  write(chunk: Buffer): Buffer[];
}

/** What grpc-js finds messages with. */
const { StreamDecoder } = createRequire(import.meta.url)('@grpc/grpc-js/build/src/stream-decoder.js') as {
  StreamDecoder: new (maxBytes: number) => Decoder;
};

/** All that comes of some chunks, and what was thrown for each that was refused. */
function read(decoder: Decoder, chunks: readonly Buffer[]): string[] {
  return chunks.flatMap(chunk => {
    try {
      return decoder.write(chunk).map(message => message.toString('hex'));
    } catch (error) {
      return [String(error)];
    }
  });
}

/** Bytes in pieces of these lengths, and what is left. */
function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (const length of lengths) {
    chunks.push(bytes.subarray(at, at + length));
    at += length;
  }
  return [...chunks, bytes.subarray(at)];
}

const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 });
const pieces = fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 30 });

/** Both read all that comes. */
const methods = {
  async clientStream(requests: Requests<unknown>) {
    for await (const _ of requests);
    return {};
  },
  async *bidi(requests: Requests<unknown>) {
    for await (const request of requests) yield request;
  },
};

/** What finds messages in a call. */
interface Decoded {
  readonly port: { readonly below: { readonly base: { readonly decoder: unknown } } };
}

describe('the messages in what a client sends', () => {
  afterEach(stopAll);

  it('are those that grpc-js finds, whatever pieces they come in', () => {
    fc.assert(
      fc.property(messages, pieces, (sent, lengths) => {
        const bytes = Buffer.concat(sent.map(message => frame(Buffer.from(message))));
        const chunks = cut(bytes, lengths);
        expect(read(new Deframer(Infinity), chunks)).to.deep.equal(read(new StreamDecoder(-1), chunks));
      }),
    );
  });

  it('may be so large as in grpc-js: the first one that is larger, and all after it, are refused', () => {
    fc.assert(
      fc.property(messages, pieces, fc.integer({ min: 0, max: 40 }), (sent, lengths, maxBytes) => {
        const bytes = Buffer.concat(sent.map(message => frame(Buffer.from(message))));
        const chunks = cut(bytes, lengths);
        const found = read(new Deframer(maxBytes), chunks);
        const expected = read(new StreamDecoder(maxBytes), chunks);
        const refused = expected.findIndex(one => one.startsWith('Error'));
        const last = refused < 0 ? expected.length : refused + 1;
        expect(found.slice(0, last)).to.deep.equal(expected.slice(0, last));
        for (const one of found.slice(last)) expect(one).to.equal(expected[refused]);
      }),
    );
  });

  it('are copies: who keeps one does not keep all that came with it', () => {
    const [message] = new Deframer(Infinity).write(Buffer.alloc(1 << 20));
    expect(message?.buffer.byteLength).to.be.below(1 << 20);
  });

  for (const mount of mountNames)
    for (const kind of ['clientStream', 'bidi'] as const)
      it(`are found by us: ${kind} on ${mount}`, async () => {
        let found: unknown;
        const look: Middleware = call => {
          const { port } = (insideOf(call) as ServerCall).wire as unknown as Decoded;
          return {
            end() {
              found = port.below.base.decoder;
            },
          };
        };
        const running = await serveKind(mount, kind, methods[kind], [look]);
        expect((await calling(running, kind, [{ n: 1 }, { n: 2 }]).reply).code).to.equal(0);
        expect(found).to.be.instanceOf(Deframer);
      });
});
