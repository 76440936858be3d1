/** Counts the gRPC messages in the bytes of a stream, by their five-byte prefixes alone. */
export class Frames {
  messages = 0;
  #prefix = 0;
  #length = 0;
  #rest = 0;

  read(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#rest > 0) {
        const step = Math.min(this.#rest, chunk.length - at);
        at += step;
        this.#rest -= step;
        continue;
      }
      this.#length = ((this.#length << 8) | Number(chunk[at++])) >>> 0;
      if (++this.#prefix < 5) continue;
      this.messages += 1;
      this.#rest = this.#length;
      this.#prefix = 0;
      this.#length = 0;
    }
  }
}
