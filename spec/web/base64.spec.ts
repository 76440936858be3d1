import { expect } from 'chai';
import fc from 'fast-check';
import { bytesOfParts, isBase64 } from '../../lib/web/base64.ts';

describe('base64 in parts', () => {
  it('is what its parts are, blanks and the padding at its end left out', () => {
    const parts = fc.array(fc.uint8Array({ minLength: 1, maxLength: 8 }));
    fc.assert(
      fc.property(parts, fc.constantFrom('', ' ', '\r\n'), fc.boolean(), (all, blank, padded) => {
        const text = all.map(part => Buffer.from(part).toString('base64')).join(blank);
        const bytes = bytesOfParts(Buffer.from(padded ? text : text.replace(/=+$/, '')), 100);
        expect(bytes).to.deep.equal(Buffer.concat(all));
      }),
    );
  });

  it('is given up as soon as it says more bytes than may be', () => {
    const beyond = 'AA=='.repeat(5);
    expect(bytesOfParts(Buffer.from(beyond), 5)).to.deep.equal(Buffer.alloc(5));
    for (const more of ['AA', 'AA==', 'AAA', 'AAAA', 'AA==%%', `AA==${'A='.repeat(9)}`])
      expect(bytesOfParts(Buffer.from(beyond + more), 5), more).to.equal('too large');
  });

  it('takes a buffer as large as what may be in it, however large the text is', () => {
    const { allocUnsafe } = Buffer;
    const sizes: number[] = [];
    Buffer.allocUnsafe = size => {
      sizes.push(size);
      return allocUnsafe(size);
    };
    try {
      bytesOfParts(new Uint8Array(4000).fill(65), 1000);
      bytesOfParts(new TextEncoder().encode('AA=='.repeat(1000)), 1000);
    } finally {
      Buffer.allocUnsafe = allocUnsafe;
    }
    expect(sizes).to.deep.equal([1003, 1003]);
  });

  it('is refused where it does not say whole bytes, or is something else', () => {
    for (const text of ['A', 'A=', 'A==', '=', 'AA=', 'AA=A', 'AA==A', 'AAA==', 'AAAA=', 'AA-_', 'AA\0', 'ä'])
      expect(bytesOfParts(Buffer.from(text), 100), text).to.equal('no base64');
    for (const text of ['A', 'A=', 'AAAAA', 'AAAAA===', 'AA=A', ' ', 'ä'])
      expect(isBase64(text), text).to.equal(false);
    for (const text of ['', 'AA', 'AA==', 'AAA', 'AAA=', '-_+/']) expect(isBase64(text), text).to.equal(true);
  });
});
