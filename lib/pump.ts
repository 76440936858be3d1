import type { ServerCall } from './call.ts';
import { isThenable } from './check.ts';
import { counters } from './counters.ts';
import { isMistake, iterate, type Puller } from './iterate.ts';
import { report } from './report.ts';
import type { Source } from './types.ts';

/**
 * Pulls a source into a call until one of them ends. Everything the source runs in, its `finally` included, is
 * called from here, so that the async context in which the layers started this holds for all of it.
 */
export async function pump<Req, Res>(call: ServerCall<Req>, source: Source<Req, Res>): Promise<void> {
  let puller: Puller<Res>;
  try {
    const stream = source(call.request, call);
    puller = iterate(isThenable(stream) ? await stream : stream);
  } catch (error) {
    if (isMistake(error)) report(error, call);
    return call.fail(error);
  }
  const pull = new Pull(call, puller);
  if (!call.open) return pull.close();
  const released = new Promise<void>(resolve => {
    call.released = resolve;
  });
  released.then(() => pull.close());
  await pull.run();
}

/** One iterator being pulled: at most one `next()` at a time, and one `return()` unless it ended by itself. */
class Pull<Res> {
  private finished = false;
  private pending: Promise<unknown> | undefined;

  constructor(
    private readonly call: ServerCall,
    private readonly puller: Puller<Res>,
  ) {}

  async run(): Promise<void> {
    const { call, puller } = this;
    const { messages } = call;
    try {
      while (call.open) {
        const hold = call.admit();
        if (hold !== undefined) {
          await hold;
          continue;
        }
        let step = puller.next();
        if (isThenable(step)) {
          this.pending = step;
          step = await step;
          this.pending = undefined;
        }
        if (step.done) {
          this.finished = true;
          return await call.completed();
        }
        if (call.open) messages.message(step.value);
        else counters.lateMessages += 1;
      }
    } catch (error) {
      this.pending = undefined;
      if (this.finished) return this.late(error);
      this.finished = true;
      await call.failed(error);
    }
  }

  /** The call is over: the source is told, and watched until it has finished. */
  close(): void {
    if (this.finished) return;
    this.finished = true;
    try {
      const returned = this.puller.return?.();
      if (isThenable(returned) || this.pending) this.watch(returned);
    } catch (error) {
      this.late(error);
    }
  }

  private async watch(returned: unknown): Promise<void> {
    const { call } = this;
    const timer = setTimeout(() => {
      counters.orphans += 1;
      try {
        call.settings.onOrphan(call);
      } catch {
        // A hook that fails must not change anything.
      }
    }, call.settings.cleanupGraceMs);
    timer.unref();
    try {
      const step = (await returned) as IteratorResult<Res> | undefined;
      if (step?.done === false)
        this.late(new Error('the source yielded in `finally`; what follows was not run'));
    } catch (error) {
      this.late(error);
    }
    await Promise.resolve(this.pending).catch(() => {});
    clearTimeout(timer);
  }

  /** What the source throws once its call is over goes to no client. */
  private late(error: unknown): void {
    if (!this.call.isAbort(error)) report(error, this.call);
  }
}
