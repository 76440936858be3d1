import { PREFIX_BYTES } from './frame.ts';

/**
 * Finds the messages in what a client sends, in whatever pieces that comes. It does what the decoder of grpc-js does, for
 * a fraction of its cost. Each message is a copy: who keeps a part of one does not keep all that came with it.
 */
export class Deframer {
  /** What came of a frame that is not complete. */
  private begun: Buffer[] = [];
  /** How many bytes of it are to come; 0 while its prefix does not tell. */
  private missing = 0;

  /** @param maxBytes of a message, without its prefix. */
  constructor(private readonly maxBytes: number) {}

  /** Whether nothing is missing of what came. */
  get complete(): boolean {
    return this.begun.length === 0;
  }

  /**
   * The frames that are complete now, each with its prefix.
   * @throws Error when a message says that it is too large, in the words of grpc-js.
   */
  write(chunk: Buffer): Buffer[] {
    const frames: Buffer[] = [];
    let at = this.missing > 0 ? this.goOn(chunk, frames) : 0;
    const data = this.begun.length > 0 && this.missing === 0 ? this.joined(chunk) : chunk;
    while (data.length - at >= PREFIX_BYTES) {
      const end = at + PREFIX_BYTES + this.sizeAt(data, at);
      if (end > data.length) {
        this.missing = end - data.length;
        break;
      }
      const frame = Buffer.allocUnsafe(end - at);
      data.copy(frame, 0, at, end);
      frames.push(frame);
      at = end;
    }
    if (at < data.length) this.begun.push(data.subarray(at));
    return frames;
  }

  /** Adds to the frame that was begun, and tells how much. */
  private goOn(chunk: Buffer, frames: Buffer[]): number {
    const length = Math.min(this.missing, chunk.length);
    this.begun.push(chunk.subarray(0, length));
    this.missing -= length;
    if (this.missing === 0) {
      frames.push(Buffer.concat(this.begun));
      this.begun = [];
    }
    return length;
  }

  /** With what came of a prefix before. */
  private joined(chunk: Buffer): Buffer {
    const data = Buffer.concat([...this.begun, chunk]);
    this.begun = [];
    return data;
  }

  private sizeAt(data: Buffer, at: number): number {
    const size = data.readUInt32BE(at + 1);
    const { maxBytes } = this;
    if (size <= maxBytes) return size;
    // What comes after it is no message either: the same once more.
    this.begun = [data.subarray(at, at + PREFIX_BYTES)];
    throw new Error(`Received message larger than max (${size} vs ${maxBytes})`);
  }
}
