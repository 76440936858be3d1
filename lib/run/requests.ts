import type { Reading, ServerCall } from '../call/call.ts';
import { Fifo } from '../streams/fifo.ts';
import type { Requests } from '../types.ts';

/** How many requests wait for who reads them, beside the one in hand. */
const MAX_AHEAD = 16;

interface Reader<Req> {
  resolve(step: IteratorResult<Req>): void;
  reject(reason: unknown): void;
}

/**
 * What a client streams, on its way to the method: it is asked for one more while there is room, and keeps what it
 * sends for itself meanwhile.
 */
export class Inbox<Req> implements Requests<Req>, Reading {
  private readonly stored: Fifo<Req> = new Fifo();
  private readonly readers: Fifo<Reader<Req>> = new Fifo();
  private call!: ServerCall;
  /** Somebody has begun to read. */
  private opened = false;
  /** One more is on its way. */
  private asked = false;
  /** The client has sent all. */
  private complete = false;
  /** Nobody reads any more. */
  private left = false;

  /** `ask` has the client send one more, which comes by `take`. */
  constructor(private readonly ask: () => void) {}

  get waits(): boolean {
    return this.readers.size > 0;
  }

  serve(call: ServerCall): void {
    this.call = call;
    call.reading = this;
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Req> {
    if (this.opened)
      throw new TypeError(
        'Requests can be read once: to read them in parts, keep what `requests[Symbol.asyncIterator]()` returns',
      );
    this.opened = true;
    return {
      next: () => this.next(),
      return: async () => this.leave(),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /** A request came; one that nobody waits for any more is discarded. */
  take(request: Req): void {
    this.asked = false;
    if (this.left || this.call.over) return;
    this.call.requested();
    if (this.readers.size > 0) this.readers.shift().resolve({ done: false, value: request });
    else this.stored.push(request);
    this.askOn();
  }

  /** The client has sent all. */
  end(): void {
    this.complete = true;
    while (this.readers.size > 0) this.readers.shift().resolve(DONE);
  }

  wake(): void {
    if (this.call.over) this.stored.clear();
    while (this.readers.size > 0) this.dismiss(this.readers.shift());
  }

  private next(): Promise<IteratorResult<Req>> {
    const { call, readers, stored } = this;
    call.requested();
    if (stored.size > 0 && !this.left && !call.over) {
      const value = stored.shift();
      this.askOn();
      return Promise.resolve({ done: false, value });
    }
    return new Promise((resolve, reject) => {
      const reader = { resolve, reject };
      if (this.left) resolve(DONE);
      else if (call.over) this.dismiss(reader);
      else if (this.complete) resolve(DONE);
      else if (call.notice.announced) this.dismiss(reader);
      else {
        readers.push(reader);
        this.askOn();
      }
    });
  }

  private leave(): IteratorResult<Req> {
    this.left = true;
    this.stored.clear();
    while (this.readers.size > 0) this.readers.shift().resolve(DONE);
    return DONE;
  }

  /** After a clean end there is no reason: who reads on then has read all there was for it. */
  private dismiss(reader: Reader<Req>): void {
    const { aborted, reason } = this.call.notice.signal;
    if (aborted) reader.reject(reason);
    else reader.resolve(DONE);
  }

  private askOn(): void {
    if (this.asked || this.complete || this.stored.size >= MAX_AHEAD) return;
    this.asked = true;
    this.ask();
  }
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };
