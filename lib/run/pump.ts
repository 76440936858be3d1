import type { Producer, ServerCall } from '../call/call.ts';
import { isThenable } from '../check.ts';
import { counts } from '../counters.ts';
import { outcomeOf } from '../status/status.ts';
import { AGAIN, type Guest, guestOf, HandingOver } from '../streams/hand-over.ts';
import { isMistake, iterate, type Puller } from '../streams/open.ts';
import { stepOf } from '../streams/step.ts';
import type { Method, Source } from '../types.ts';
import { hinted } from './hint.ts';

/**
 * Pulls a source into a call until one of the two ends. Its `next()` and `return()` are called from here alone, so that
 * the whole source, its `finally` included, runs in the async context in which the layers started this.
 */
export async function pump<Req, Res>(call: ServerCall<Req>, source: Method<Req, Res>): Promise<void> {
  const pull = new Pull<Res>(call);
  call.producer = pull;
  void pull.release.then(() => pull.close());
  try {
    const opening = pull.open(source(call.view.request, call.view));
    if (opening) await opening;
  } catch (error) {
    return pull.refuse(hinted(error));
  }
  await pull.run();
}

/** One iterator being pulled: at most one `next()` at a time, and one `return()` unless it ended by itself. */
class Pull<Res> implements Producer {
  released!: () => void;
  /** Settles when the call is over; what waits for it runs in the async context of the source. */
  readonly release: Promise<void> = new Promise(resolve => {
    this.released = resolve;
  });
  private puller: Puller<Res> | undefined;
  /** That puller, when it is a stream of `leat/sources`. */
  private guest: Guest | undefined;
  private finished = false;
  private pending: PromiseLike<unknown> | undefined;

  constructor(private readonly call: ServerCall) {}

  /** Opens the stream for pulling; one that comes when the call is over is closed again. */
  open(stream: Source<Res> | PromiseLike<Source<Res>>): Promise<void> | undefined {
    if (isThenable(stream)) return this.openLater(stream);
    this.opened(stream as Source<Res>);
    return undefined;
  }

  private async openLater(promised: PromiseLike<Source<Res>>): Promise<void> {
    this.pending = promised;
    const opened = await promised;
    this.pending = undefined;
    this.opened(opened);
  }

  private opened(opened: Source<Res>): void {
    this.puller = iterate(opened);
    this.guest = guestOf(this.puller);
    this.guest?.adopt();
    if (this.finished) this.giveBack(this.puller);
    else if (this.guest) this.call.notice.announceTo(this.guest);
  }

  refuse(error: unknown): void {
    this.pending = undefined;
    if (this.finished) return this.late(error);
    this.finished = true;
    if (isMistake(error)) this.call.report(error.cause);
    this.call.end(outcomeOf(error));
  }

  async run(): Promise<void> {
    const { call, puller } = this;
    const { gate, messages } = call;
    if (puller === undefined) return;
    const feed = call.straight && puller instanceof HandingOver ? (puller as HandingOver<Res>) : undefined;
    try {
      while (call.open) {
        const hold = gate.admit();
        if (hold !== undefined) {
          await hold;
          continue;
        }
        let step = feed ? feed.handTo(call) : puller.next();
        if (isThenable(step)) {
          this.pending = step;
          step = await step;
          this.pending = undefined;
        }
        if (step === AGAIN) continue;
        if (stepOf(step).done) {
          this.exhausted();
          if (call.open) await call.sourceDone();
          return;
        }
        if (call.open) messages.message(step.value);
        else counts.lateMessages += 1;
      }
    } catch (error) {
      this.pending = undefined;
      const over = this.finished || !call.open;
      this.exhausted();
      if (over) return this.late(error);
      await call.sourceThrew(error);
    }
  }

  /** The call is over: the source is told, and watched until it has finished. */
  close(): void {
    if (this.finished) return;
    this.finished = true;
    if (this.puller) this.giveBack(this.puller);
    else if (this.pending) this.watch(undefined);
  }

  /** The source ended by itself; what a stream of `leat/sources` read from might not have. */
  private exhausted(): void {
    const { finished } = this;
    this.finished = true;
    const left = finished ? undefined : this.guest?.leave();
    if (isThenable(left)) this.watch(left);
  }

  private giveBack(puller: Puller<Res>): void {
    try {
      const returned = this.guest ? this.guest.leave() : puller.return?.();
      if (isThenable(returned) || this.pending) this.watch(returned);
      else this.closed(returned);
    } catch (error) {
      this.late(error);
    }
  }

  private watch(returned: unknown): void {
    this.call.watch(this.settled(returned));
  }

  private async settled(returned: unknown): Promise<void> {
    try {
      this.closed(await returned);
    } catch (error) {
      this.late(error);
    }
    await Promise.resolve(this.pending).catch(() => {});
  }

  private closed(step: unknown): void {
    if ((step as Partial<IteratorResult<Res>> | undefined)?.done === false)
      this.late(new Error('the source yielded in `finally`; what follows was not run'));
  }

  /** What the source throws once its call is over goes to no client, and is reported unless it answers the signal. */
  private late(error: unknown): void {
    if (!this.call.notice.isAbort(error)) this.call.report(error);
  }
}
