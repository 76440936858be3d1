import { AsyncResource } from 'node:async_hooks';
import { type Metadata, status } from '@grpc/grpc-js';
import { isThenable } from '../check.ts';
import { counts } from '../counters.ts';
import type { Inside } from '../inside.ts';
import { answersOnce, NO_ANSWER } from '../kinds.ts';
import { defaultSettings } from '../options.ts';
import { watch } from '../orphan.ts';
import { report } from '../report.ts';
import { type Rpc, recordOf } from '../rpc.ts';
import type { Settings } from '../settings.ts';
import { Tally } from '../stats.ts';
import { lastOf } from '../status/last.ts';
import { ResponseMetadata, sendableHeader } from '../status/metadata.ts';
import { DEADLINE_EXCEEDED, isHidden, outcomeOf, StatusError, soundOutcome } from '../status/status.ts';
import { after, type Timer } from '../timers.ts';
import type { AuthContext, Call, Kind, Layer, Middleware, Outcome, Sink } from '../types.ts';
import { Owned } from '../wire/broadcast.ts';
import type { Port, Sender } from '../wire/port.ts';
import { Wire } from '../wire/wire.ts';
import { Gate } from './gate.ts';
import { type Live, live, refusal } from './live.ts';
import { Notice } from './notice.ts';
import { NO_LAYER } from './returned.ts';
import { viewOf } from './view.ts';

/** What grpc-js knows about a call; its own call objects are this. */
export interface Origin {
  readonly metadata: Metadata;
  getPath(): string;
  getPeer(): string;
  getHost(): string;
  getDeadline(): Date | number;
  getAuthContext?(): AuthContext;
}

/** What a call reads from its client, when that streams. */
export interface Reading {
  /** The method waits for its client to send more, as far as that shows. */
  readonly waits: boolean;
  /** The call is to end, or has ended: nobody is to wait for more. */
  wake(): void;
}

/** Whoever produces the messages of a call. */
export interface Producer {
  /** The call is over, whatever ended it. */
  released(): void;
}

/** How far a call has come; only ever goes up. */
enum Phase {
  /** Its layers are being made. */
  Composing,
  Open,
  /** The layers hear of its end. */
  Ending,
  Ended,
}

const COMPLETED: Outcome = { code: status.OK, details: 'OK', reason: 'completed' };

/**
 * One RPC, and the one owner of its end: who speaks first decides (the source is done, the handler answers, the client
 * leaves, the wire fails, a layer or a drain ends it), and everything later is absorbed.
 * A call is also the far end of its layers: a message that reaches it goes to the wire.
 */
export class ServerCall<Req = unknown> implements Inside, Sink<unknown>, Sender, Live {
  // What each message looks at comes first: with thousands of streams, what is not together is not in the cache.
  readonly wire: Wire;
  private phase: Phase = Phase.Composing;
  headerSent = false;
  /** Before the next message there is something to see to: headers, or that it is the only one. */
  private careful = true;
  /** `take` runs, within a `push` of somebody else's: what goes wrong now is told after that. */
  private taking = false;
  /** A message that `take` sent went wrong, and none may follow it. */
  private failing = false;
  counted: Tally | undefined;
  settings: Settings = defaultSettings();
  readonly path: string;
  readonly expiresAt: number;
  /** Where the source, or the handler, sends: the innermost layer with a `message`, or this far end. */
  messages: Pick<Sink<unknown>, 'message'>;
  layer: Layer<unknown> = NO_LAYER;
  /** What users see of this call. */
  readonly view: Call<Req>;
  producer: Producer | undefined;
  /** What its method reads. */
  reading: Reading | undefined;
  onEnded: (() => void) | undefined;
  newer: Live | undefined;
  older: Live | undefined;
  listed = false;
  /** How the call was ended, when that was before all its layers were made. */
  private early: Outcome | undefined;
  private outcome: Outcome | undefined;
  /** Its method came to its own end. */
  finished = false;
  /** It has its only answer. */
  private answered = false;
  /** Its developer was told that it is not answered once. */
  private told = false;
  private ownGate: Gate | undefined;
  private ownNotice: Notice | undefined;
  /** What went wrong at the far end while the layers heard of the end. */
  private spoiled: Outcome | undefined;
  private heard: Promise<Outcome> | undefined;
  private hear: ((outcome: Outcome) => void) | undefined;
  private timer: Timer | undefined;
  /** The async context in which the layers started the source; when there is one of theirs. */
  private context: AsyncResource | undefined;
  private ownHeader: ResponseMetadata | undefined;
  private ownTrailer: ResponseMetadata | undefined;
  private knownPeer: string | undefined;
  private knownAuth: AuthContext | undefined;
  private record: Rpc | undefined;

  constructor(
    readonly origin: Origin,
    request: Req,
    port: Port,
    readonly kind: Kind = 'serverStream',
  ) {
    this.path = origin.getPath();
    this.wire = new Wire(port, this);
    this.expiresAt = this.wire.deadline(Number(origin.getDeadline()));
    this.messages = this;
    this.view = viewOf(this, request);
  }

  get open(): boolean {
    return this.phase === Phase.Open;
  }

  private get late(): boolean {
    return this.expiresAt !== Number.POSITIVE_INFINITY && Date.now() >= this.expiresAt;
  }

  get over(): boolean {
    return this.early !== undefined || this.phase > Phase.Open;
  }

  // Kept, as neither can be read any more when the connection is gone.
  get peer(): string {
    this.knownPeer ??= this.origin.getPeer();
    return this.knownPeer;
  }

  get authContext(): AuthContext {
    this.knownAuth ??= this.origin.getAuthContext?.() ?? {};
    return this.knownAuth;
  }

  get header(): Metadata {
    this.ownHeader ??= new ResponseMetadata('header');
    this.ownHeader.sent = this.headerSent;
    return this.ownHeader;
  }

  get trailer(): Metadata {
    this.ownTrailer ??= new ResponseMetadata('trailer');
    this.ownTrailer.sent = this.phase === Phase.Ended;
    return this.ownTrailer;
  }

  get gate(): Gate {
    this.ownGate ??= new Gate(this);
    return this.ownGate;
  }

  get notice(): Notice {
    this.ownNotice ??= new Notice(this);
    return this.ownNotice;
  }

  get known(): Outcome | undefined {
    return this.outcome ?? this.early;
  }

  get stats(): Tally {
    this.counted ??= new Tally(this.wire);
    return this.counted;
  }

  get rpc(): Rpc {
    this.record ??= recordOf(this.origin.metadata, this.wire.identity);
    return this.record;
  }

  get ending(): Promise<Outcome> {
    if (this.known) return Promise.resolve(this.known);
    this.heard ??= new Promise(resolve => {
      this.hear = resolve;
    });
    return this.heard;
  }

  /** Makes the layers, then starts what produces the messages inside them. */
  begin(middleware: Middleware, start: () => void): void {
    live.add(this);
    this.armDeadline();
    const made = middleware(this.view, this);
    if (isThenable(made))
      void (made as PromiseLike<Layer<unknown>>).then(layer => this.composed(layer, start));
    else this.composed(made as Layer<unknown> | void, start);
  }

  private composed(made: Layer<unknown> | void, start: () => void): void {
    const layer = made ?? NO_LAYER;
    this.phase = Phase.Open;
    this.layer = layer;
    if (layer.message) this.messages = new Owned(layer as Sink<unknown>);
    this.early ??= this.late ? DEADLINE_EXCEEDED : refusal(this);
    if (this.early) return this.close(this.early);
    const run = () => {
      if (layer.start) this.context = new AsyncResource('leat.call');
      this.counted?.wait('source', performance.now());
      this.ownNotice?.begin();
      if (this.open) start();
    };
    if (layer.start) layer.start(run);
    else run();
  }

  sendHeader(): void {
    if (this.headerSent || this.phase === Phase.Ended) return;
    this.headerSent = true;
    if (this.ownHeader) this.ownHeader.sent = true;
    this.wire.header(sendableHeader(this.ownHeader));
  }

  /** Hands a message to the wire; the headers go before the first one. */
  message(message: unknown): void {
    if (this.phase === Phase.Ended) return this.lateMessage();
    if (this.careful && !this.ready()) return;
    this.wire.message(message);
  }

  /** Sees to what is due before the first message, and to it that no other follows an only one. */
  private ready(): boolean {
    this.careful = answersOnce(this);
    if (this.answered) {
      this.surplus();
      return false;
    }
    this.answered = this.careful;
    if (this.headerSent) return true;
    // Without headers of ours, grpc-js sends its own with the first message that goes through it.
    if (this.ownHeader || this.wire.direct) this.sendHeader();
    else this.headerSent = true;
    return true;
  }

  /** There is one more answer to a call that has its only one: it is not sent. */
  surplus(): void {
    counts.lateMessages += 1;
    this.tellOnce(`Expected one message to answer ${this.path}, got another one, which is not sent`);
  }

  /** Once the method of a call that ended well is done, only a layer has something left. */
  lateMessage(): void {
    counts.lateMessages += 1;
    if (this.finished && this.outcome?.reason === 'completed')
      this.tellOnce(
        `Expected the layers of ${this.path} to send all they have before the call ends, got a message after that, which nobody gets: \`message()\` cannot wait, and what it holds goes in \`end()\``,
      );
  }

  layerFailed(error: unknown): void {
    if (!this.over) this.end(outcomeOf(error));
    else if (!this.notice.isAbort(error)) this.report(error);
  }

  judged(outcome: Outcome): Outcome {
    if (outcome.code !== status.OK || this.answered || !answersOnce(this)) return outcome;
    const cause = this.tellOnce(
      `Expected one message to answer ${this.path}, got none: it goes through \`next.message()\` of each layer that takes it, before the call ends`,
    );
    return outcomeOf(new StatusError(status.INTERNAL, NO_ANSWER, { cause }));
  }

  private tellOnce(mistake: string): TypeError {
    const error = new TypeError(mistake);
    if (!this.told) this.report(error);
    this.told = true;
    return error;
  }

  /** Whether no layer and no interceptor has a say in messages. */
  get straight(): boolean {
    return this.messages === this && !this.layer.ready && this.wire.direct;
  }

  /** Sends a message from within somebody else's code, unless there is no room; what fails is told later. */
  take(message: unknown): boolean {
    if (!this.open || this.failing || !this.wire.room) return false;
    this.taking = true;
    try {
      this.message(message);
    } catch (error) {
      this.wireFailed(outcomeOf(error));
    }
    this.taking = false;
    return true;
  }

  /** Its client has sent something, or the method took or asks for it: one that yields nothing is not idle. */
  requested(): void {
    const { counted } = this;
    if (counted?.waiting === 'source') counted.wait('source', performance.now());
  }

  get mayIdle(): boolean {
    return !answersOnce(this) || this.reading?.waits === true;
  }

  /** The wire has something to say to those who wait for it. */
  wireMoved(): void {
    this.ownGate?.woken();
  }

  /** Runs something in the async context of the source, where it finds what the layers put there. */
  within<T>(run: () => T): T {
    return this.context ? this.context.runInAsyncScope(run) : run();
  }

  watch(work: PromiseLike<unknown>): void {
    watch(work, this.settings.cleanupGraceMs, () => this.settings.onOrphan(this.view));
  }

  /** Tells of an error that no client may read. */
  report(error: unknown): void {
    report(error, this.view);
  }

  /** Tells the source how its call will end, and lets it finish in its own way until then. */
  announce(outcome: Outcome): void {
    if (this.over) return;
    this.surely(() => this.notice.announce(outcome), outcome);
    this.surely(this.wake, outcome);
  }

  /** The source is done. */
  sourceDone(): void | Promise<void> {
    return this.settle(this.stopped ?? COMPLETED);
  }

  /**
   * What a method stopped for: one that was told to, and looked at its signal to hear that, did not say all it had to
   * say. One that gave its only answer did.
   */
  private get stopped(): Outcome | undefined {
    return answersOnce(this) ? undefined : this.ownNotice?.heard;
  }

  /** The source threw: the answer to being told to stop, or its own failure. */
  sourceThrew(error: unknown): void | Promise<void> {
    const announced = this.ownNotice?.announced;
    return this.settle(announced && this.notice.isAbort(error) ? announced : outcomeOf(error));
  }

  /** The handler gave its status, or the one that it was told of. */
  handlerAnswered(outcome: Outcome, before?: () => void): void | Promise<void> {
    if (this.ownNotice?.announced === undefined) return this.settle(outcome, before);
    const { announced } = this.ownNotice;
    const same = announced.code === outcome.code && announced.details === outcome.details;
    const stopped = outcome.reason === 'completed' && this.stopped !== undefined;
    const gaveUp = outcome.cause !== undefined && this.ownNotice.isAbort(outcome.cause);
    return this.settle(same || stopped || gaveUp ? announced : outcome, before);
  }

  /** The transport says that the call is over: the answer to our status, or the client left. */
  clientLeft(): void {
    if (this.over) return this.wire.close();
    const verdict = this.wire.verdict();
    this.wire.close();
    this.end(verdict);
  }

  /** The wire can send no more; whoever ended it below has `told` of that where it had to be. */
  wireFailed(outcome: Outcome, told = false): void {
    if (this.taking) {
      this.failing = true;
      return queueMicrotask(() => this.wireFailed(outcome, told));
    }
    if (!told && outcome.cause !== undefined && !isHidden(outcome)) this.report(outcome.cause);
    if (this.phase === Phase.Ending) this.spoiled ??= outcome;
    this.end(outcome);
  }

  /** Ends the call; only the first time counts. */
  end(outcome: Outcome): void {
    if (this.over) counts.lateEnds += 1;
    else if (this.phase === Phase.Composing) this.endEarly(soundOutcome(outcome));
    else this.close(soundOutcome(outcome));
  }

  /** Ends the call as its source did, once HTTP/2 took everything; `before` hears that it did. */
  private settle(outcome: Outcome, before?: () => void): void | Promise<void> {
    this.finished = true;
    if (this.open && !this.wire.idle && !this.prompt) return this.settleLater(outcome, before);
    if (this.open) before?.();
    this.end(outcome);
  }

  private async settleLater(outcome: Outcome, before?: () => void): Promise<void> {
    await this.gate.stalled();
    return this.settle(outcome, before);
  }

  /** Of the one answer that a method gives, a small one has its status in the same turn; as with bare grpc-js. */
  private get prompt(): boolean {
    return this.wire.brief && answersOnce(this);
  }

  /** The call ends while its layers are made: no more are made, and those that there are hear of the end then. */
  private endEarly(outcome: Outcome): void {
    this.early = outcome;
    this.surely(this.give, outcome);
    this.hear?.(outcome);
  }

  private close(outcome: Outcome): void {
    this.phase = Phase.Ending;
    this.outcome = outcome;
    this.timer?.stop();
    if (this.counted) this.surely(() => this.counted?.wait(undefined, performance.now()), outcome);
    if (this.context) this.context.runInAsyncScope(() => this.tell(outcome));
    else this.tell(outcome);
  }

  private tell(outcome: Outcome): void {
    this.surely(this.give, outcome);
    this.surely(this.wake, outcome);
    this.ownGate?.open();
    this.surely(this.release, outcome);
    this.conclude(this.layer.end ? this.last(outcome) : outcome);
  }

  /** How the call ends after all layers heard of it. */
  private last(outcome: Outcome): Outcome {
    let last: Outcome | void = outcome;
    this.surely(() => {
      last = this.layer.end?.(outcome);
    }, outcome);
    return last ?? outcome;
  }

  private conclude(heard: Outcome): void {
    const outcome = this.judged(heard.reason === 'completed' ? (this.spoiled ?? heard) : heard);
    if (this.ownHeader && !this.headerSent) this.surely(this.sendHeader, outcome);
    this.phase = Phase.Ended;
    live.delete(this);
    if (this.onEnded) this.surely(this.onEnded, outcome);
    if (isHidden(outcome)) this.report(outcome.cause);
    this.surely(this.sendStatus, outcome);
  }

  private give(outcome: Outcome): void {
    this.ownNotice?.give(outcome);
  }

  private wake(): void {
    this.reading?.wake();
  }

  private release(): void {
    this.producer?.released();
  }

  private sendStatus(outcome: Outcome): void {
    const last = lastOf(outcome, this.ownTrailer);
    // Below might be another mount of ours, which is not to judge this status once more.
    if (!this.wire.direct) this.rpc.conclude(outcome, last);
    this.wire.status(last, outcome.reason !== 'completed' || this.prompt);
    if (outcome.reason !== 'completed') this.wire.expire(last.code);
  }

  /** Takes one step towards the end of a call: what it throws is reported, and the steps after it are still taken. */
  private surely(step: (outcome: Outcome) => void, outcome: Outcome): void {
    try {
      step.call(this, outcome);
    } catch (error) {
      this.report(error);
    }
  }

  private armDeadline(): void {
    if (this.expiresAt === Number.POSITIVE_INFINITY) return;
    this.timer = after(this.expiresAt - Date.now(), () => this.end(DEADLINE_EXCEEDED));
  }
}
