/**
 * Reads the fields of an encoded message.
 * @see https://protobuf.dev/programming-guides/encoding/
 */
export class Reader {
  constructor(
    private readonly bytes: Buffer,
    public at: number = 0,
    public end: number = bytes.length,
  ) {}

  get more(): boolean {
    return this.at < this.end;
  }

  /** A varint that fits into 32 bits; of a longer one, its low half. */
  uint32(): number {
    let byte = this.byte();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let shift = 7; shift < 70; shift += 7) {
      byte = this.byte();
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw cutOff();
  }

  int32(): number {
    return this.uint32() | 0;
  }

  sint32(): number {
    const value = this.uint32();
    return (value >>> 1) ^ -(value & 1);
  }

  bool(): boolean {
    return Number(this.uint64()) !== 0;
  }

  /** A varint; a number where that has it exactly, which most are and which costs less. */
  uint64(): number | bigint {
    const start = this.at;
    let value = 0;
    for (let unit = 1; unit < 2 ** 49; unit *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) return value;
    }
    this.at = start;
    return this.longer();
  }

  private longer(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw cutOff();
  }

  int64(): number | bigint {
    const value = this.uint64();
    return typeof value === 'number' ? value : BigInt.asIntN(64, value);
  }

  sint64(): bigint {
    const value = BigInt(this.uint64());
    return (value >> 1n) ^ -(value & 1n);
  }

  /** So many bytes, at which this begins. */
  take(bytes: number): number {
    const start = this.at;
    if (bytes > this.end - start) throw cutOff();
    this.at = start + bytes;
    return start;
  }

  fixed32(): number {
    return this.bytes.readUInt32LE(this.take(4));
  }

  sfixed32(): number {
    return this.bytes.readInt32LE(this.take(4));
  }

  fixed64(): bigint {
    return this.bytes.readBigUInt64LE(this.take(8));
  }

  sfixed64(): bigint {
    return this.bytes.readBigInt64LE(this.take(8));
  }

  float(): number {
    return this.bytes.readFloatLE(this.take(4));
  }

  double(): number {
    return this.bytes.readDoubleLE(this.take(8));
  }

  string(): string {
    const size = this.uint32();
    const start = this.take(size);
    return this.bytes.toString('utf8', start, start + size);
  }

  base64(): string {
    const size = this.uint32();
    const start = this.take(size);
    return this.bytes.toString('base64', start, start + size);
  }

  /** What is within. */
  part(): Reader {
    const size = this.uint32();
    const start = this.take(size);
    return new Reader(this.bytes, start, start + size);
  }

  skip(wire: number): void {
    switch (wire) {
      case VARINT:
        while (this.byte() >= 0x80);
        return;
      case 1:
        this.take(8);
        return;
      case BYTES:
        this.take(this.uint32());
        return;
      case 3:
        for (let tag = this.uint32(); (tag & 7) !== 4; tag = this.uint32()) this.skip(tag & 7);
        return;
      case 5:
        this.take(4);
        return;
      default:
        throw new TypeError(`Expected a message, got the wire type ${wire}`);
    }
  }

  private byte(): number {
    if (this.at >= this.end) throw cutOff();
    return this.bytes[this.at++] as number;
  }
}

const VARINT = 0;
export const BYTES = 2;

function cutOff(): TypeError {
  return new TypeError('Expected a message, got a part of one');
}
