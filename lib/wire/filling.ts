import { PREFIX_BYTES, putFrame } from './frame.ts';

/** Frames of messages that are written together. */
export interface Block {
  readonly frames: Buffer;
  readonly messages: number;
}

/** The block that goes with the next write, while messages are put into it. */
export class Filling {
  /** How many bytes it has, of so many messages. */
  used = 0;
  count = 0;
  private bytes: Buffer = EMPTY;
  /** Its end, not encoded yet: that costs as much for one text as for many. */
  private texts = '';
  /** Where in it that begins. */
  private textsAt = 0;
  /** How large the last block of several messages was: the next one might be as large. */
  private expected = 0;

  /** Puts a message into it, with its prefix. */
  put(message: Uint8Array): void {
    const size = PREFIX_BYTES + message.length;
    this.reserve(size);
    putFrame(this.bytes, this.used, message);
    this.added(size);
  }

  /** A frame that other calls write, too: it is copied if anything goes with it. */
  putShared(frame: Buffer): void {
    if (this.count === 0) this.bytes = frame;
    else {
      this.encodeTexts();
      this.reserve(frame.length);
      this.bytes.set(frame, this.used);
    }
    this.added(frame.length);
  }

  /** A text that is so many bytes. */
  putText(text: string, size: number): void {
    if (this.texts === '') this.textsAt = this.used;
    this.texts += text;
    this.added(size);
  }

  /** Ends it, and begins the next one. */
  cut(): Block {
    this.encodeTexts();
    const { bytes, used, count } = this;
    this.expected = count > 1 ? used : 0;
    this.clear();
    return { frames: used < bytes.length ? bytes.subarray(0, used) : bytes, messages: count };
  }

  clear(): void {
    this.bytes = EMPTY;
    this.texts = '';
    this.used = 0;
    this.count = 0;
  }

  private added(size: number): void {
    this.used += size;
    this.count += 1;
  }

  private reserve(size: number): void {
    const end = this.used + size;
    if (end <= this.bytes.length) return;
    const ahead = this.count === 0 ? this.expected : Math.min(2 * end, BLOCK_BYTES);
    const larger = Buffer.allocUnsafe(Math.max(end, ahead));
    this.bytes.copy(larger, 0, 0, this.used);
    this.bytes = larger;
  }

  private encodeTexts(): void {
    if (this.texts === '') return;
    const encoded = Buffer.from(this.texts);
    const { bytes, textsAt } = this;
    this.bytes = textsAt === 0 ? encoded : Buffer.concat([bytes.subarray(0, textsAt), encoded]);
    this.texts = '';
  }
}

/** No more goes with one write than HTTP/2 puts into one of its frames. */
export const BLOCK_BYTES = 16_384;

const EMPTY: Buffer = Buffer.alloc(0);
