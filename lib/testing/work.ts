import { isThenable } from '../check.ts';
import type { AnyHandler } from '../mounts/handler.ts';
import { inPlaceOf } from '../run/code.ts';
import { iterate } from '../streams/open.ts';
import { pause } from '../timers.ts';
import type { Answer, Method, Source } from '../types.ts';

/** Knows whether what produces the messages has finished. */
export class Work {
  private readonly pending = new Set<unknown>();

  /** One that is asked for its parameters answers as before. */
  ofHandler(handler: AnyHandler): AnyHandler {
    const watched = new Proxy(handler, {
      apply: (called, self, given) => this.watch(Reflect.apply(called, self, given)),
    });
    return inPlaceOf(handler, watched);
  }

  ofAnswer<Req, Res>(method: Answer<Req, Res>): Answer<Req, Res> {
    return inPlaceOf<Answer<Req, Res>>(method, (request, call) => this.watch(method(request, call)));
  }

  ofSource<Req, Res>(source: Method<Req, Res>): Method<Req, Res> {
    const through = (stream: Source<Res>): AsyncIterable<Res> => {
      const puller = iterate(stream);
      const iterator = {
        next: () => this.watch(puller.next()) as Promise<IteratorResult<Res>>,
        return: () => this.watch(puller.return?.()) as Promise<IteratorResult<Res>>,
      };
      return { [Symbol.asyncIterator]: () => iterator };
    };
    return (request, call) => {
      const stream = this.watch(source(request, call));
      return isThenable(stream) ? stream.then(through) : through(stream);
    };
  }

  /** Answers what it was given; a promise of it where that is only like a promise, which might run when it is asked. */
  private watch<T>(work: T): T {
    if (!isThenable(work)) return work;
    const promise = Promise.resolve(work);
    const done = () => this.pending.delete(promise);
    this.pending.add(promise);
    promise.then(done, done);
    return promise as T;
  }

  async finishes(graceMs: number): Promise<boolean> {
    await new Promise(resolve => setImmediate(resolve));
    for (const end = Date.now() + graceMs; this.pending.size > 0 && Date.now() < end; ) await pause(1);
    return this.pending.size === 0;
  }
}
