import { Metadata, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import fc from 'fast-check';
import { StatusError } from '../../lib/index.ts';
import { type AnySource, mountNames, serve, stopAll } from '../support/harness.ts';
import { rawCall } from '../support/raw.ts';

/** What clients of the C core read for certain: names, values and 32 bytes for each field. */
const MAX_BYTES = 8192;

function bytesOf(fields: Record<string, unknown>): number {
  let bytes = 0;
  for (const [name, values] of Object.entries(fields))
    for (const value of [values].flat()) bytes += name.length + String(value).length + 32;
  return bytes;
}

/** All the fields of the response that come together, as a client without manners reads them. */
async function fieldsOf(
  port: number,
): Promise<{ header: Record<string, any>; trailer: Record<string, any> }> {
  const { session, stream } = rawCall(port);
  let header: Record<string, any> = {};
  let trailer: Record<string, any> = {};
  stream.on('response', fields => {
    header = fields;
  });
  stream.on('trailers', fields => {
    trailer = fields;
  });
  stream.resume();
  await new Promise(resolve => stream.once('close', resolve));
  session.destroy();
  return { header, trailer };
}

const texts = ['x', ' ', 'ü', '€', '😀', '\u0001', '%', '"<>'];

for (const on of mountNames)
  describe(`the budget of headers and trailers, on ${on}`, () => {
    afterEach(stopAll);

    const failing = (details: string, trailers: Record<string, string | Buffer>): AnySource =>
      async function* () {
        if (details.length % 2) yield 'a message first';
        const metadata = new Metadata();
        for (const [key, value] of Object.entries(trailers)) metadata.set(key, value);
        throw new StatusError(status.NOT_FOUND, details, { metadata });
      };

    it('holds for details and trailers together, as they are encoded', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.constantFrom(...texts), fc.nat(3000)), { maxLength: 4 }),
          fc.dictionary(
            fc.stringMatching(/^x-[a-z]{1,30}(-bin)?$/),
            fc.nat(5000).map(length => 'v'.repeat(length)),
            { maxKeys: 6 },
          ),
          async (parts, values) => {
            const details = parts.map(([text, times]) => text.repeat(times)).join('');
            const trailers = Object.fromEntries(
              Object.entries(values).map(([key, value]) => [
                key,
                key.endsWith('-bin') ? Buffer.from(value) : value,
              ]),
            );
            const server = await serve(on, failing(details, trailers));
            const { header, trailer } = await fieldsOf(server.port);
            await server.close();
            const status = { ...(trailer['grpc-status'] === undefined ? header : trailer) };
            expect(Number(status['grpc-status'])).to.equal(5);
            expect(bytesOf(status)).to.be.at.most(MAX_BYTES);
            expect(bytesOf(header)).to.be.at.most(MAX_BYTES);
          },
        ),
        { numRuns: 20 },
      );
    });

    it('holds for headers', async () => {
      const server = await serve(on, ['a'].values.bind(['a']) as never, [
        call => {
          for (let index = 0; index < 60; index++) call.header.set(`x-${index}`, 'v'.repeat(20 * index));
        },
      ]);
      const { header } = await fieldsOf(server.port);
      expect(bytesOf(header)).to.be.within(MAX_BYTES / 2, MAX_BYTES);
      expect(header['leat-truncated']).to.equal('1');
    });

    it('leaves what fits as it is', async () => {
      const text = '€'.repeat(400);
      const server = await serve(on, failing(text, { 'x-large': 'v'.repeat(4000) }));
      const { code, details, trailer } = await server.call();
      expect({ code, details }).to.deep.equal({ code: status.NOT_FOUND, details: text });
      expect(trailer.get('x-large')[0]).to.have.length(4000);
    });

    it('gives the details half of it, and what the trailers leave', async () => {
      const server = await serve(
        on,
        failing('€'.repeat(2000), { 'x-large': 'v'.repeat(7000), 'x-small': 'v' }),
      );
      const { code, details, trailer } = await server.call();
      expect(code).to.equal(status.NOT_FOUND);
      expect(trailer.get('x-large')).to.deep.equal([]);
      expect(trailer.get('x-small')).to.deep.equal(['v']);
      expect(trailer.get('leat-truncated')).to.deep.equal(['1']);
      expect(encodeURI(details).length).to.be.within(7000, 8000);
    });
  });
