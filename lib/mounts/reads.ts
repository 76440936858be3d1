import type { Reading, ServerCall } from '../call/call.ts';
import { deframe } from '../grpc-js/deframe.ts';
import { halfClosed } from '../grpc-js/half-close.ts';
import type { Incoming } from '../grpc-js/incoming.ts';
import { linkOf } from '../grpc-js/ports.ts';

type Step = Promise<IteratorResult<unknown>>;

/**
 * What a wrapped handler reads of what its client streams, where the layers run. A loop over it that is left, or comes to
 * its end, does not destroy the stream: with that the answer would be lost. A loop that waits while the end of its call
 * is announced is woken, once all that has come is taken.
 */
export class Reads implements Reading {
  /** The client has sent all. */
  private complete = false;
  /** A loop reads, or did. */
  private looped = false;
  private readonly waiting: Set<() => void> = new Set();
  /** What a loop had asked for when it was woken: the next one gets it, if there is one. */
  private readonly owed: Step[] = [];

  constructor(
    private readonly stream: Incoming,
    private readonly call: ServerCall,
  ) {
    const { push } = stream;
    deframe(linkOf(stream));
    call.reading = this;
    Object.assign(stream, {
      push: (request: unknown) => {
        call.requested();
        const pushed = () => call.within(() => push.call(stream, request));
        if (request === null) halfClosed(linkOf(stream), stream.metadata, () => this.ended(pushed));
        else pushed();
      },
      [Symbol.asyncIterator]: () => this.iterator(),
    });
  }

  /** Of a loop it shows, as it asks. Of a listener, which is given all that comes, it does not. */
  get waits(): boolean {
    if (this.looped) return this.waiting.size > 0;
    return !this.complete && this.stream.readableLength === 0;
  }

  /** Once the call is over, its stream says so by itself. */
  wake(): void {
    if (this.call.over) return;
    for (const dismiss of this.waiting) dismiss();
  }

  private ended(tell: () => void): void {
    this.complete = true;
    tell();
  }

  private iterator(): AsyncIterableIterator<unknown> {
    this.looped = true;
    const inner = this.stream.iterator({ destroyOnReturn: false });
    return {
      next: () => this.next(inner),
      return: async () => inner.return?.() ?? { done: true, value: undefined },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  private next(inner: AsyncIterator<unknown>): Step {
    const { call, owed, stream, waiting } = this;
    call.requested();
    const asked = owed.shift() ?? inner.next();
    return new Promise((resolve, reject) => {
      const dismiss = () => {
        if (!waiting.delete(dismiss)) return;
        owed.push(asked);
        reject(call.notice.signal.reason);
      };
      waiting.add(dismiss);
      asked.then(
        step => {
          if (!waiting.delete(dismiss)) return;
          call.requested();
          resolve(step);
        },
        error => waiting.delete(dismiss) && reject(error),
      );
      if (call.notice.announced && !call.over && !this.complete && stream.readableLength === 0)
        queueMicrotask(dismiss);
    });
  }
}
