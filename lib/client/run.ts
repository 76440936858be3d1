import { type CallOptions, Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { checkMetadata, isThenable } from '../check.ts';
import { answerOf, forget, isBoolean, survive } from '../hooks.ts';
import { Recent } from '../sources/recent.ts';
import { sleep } from '../sources/sleep.ts';
import { headerOf } from '../token.ts';
import { LiveAttempt } from './attempt.ts';
import { type Open, Opener } from './open.ts';
import type { Settings } from './options.ts';
import { type GiveUpReason, SubscribeError } from './subscribe-error.ts';
import { Judge, type Verdict } from './verdict.ts';

/** A server's timer holds no longer than 2^31 ms; attempts under a later deadline are renewed. */
const MAX_ATTEMPT_MS = 24 * 24 * 3600 * 1000;
const MAX_ATTEMPTS_KEPT = 100;

/** A subscription at work: attempt after attempt, at most one at a time, until a verdict ends it. */
export class Run<Req, Res, Item, Token> {
  /** After which item an attempt goes on: moved by what the consumer took, and by bookmarks. */
  token: Token | undefined;
  readonly attempts: LiveAttempt<Res, Token>[] = [];
  private count = 0;
  /** The token of the item that is on its way to the consumer. */
  private offered: Token | undefined;
  private seen: Recent<Token>;
  private readonly judge: Judge;
  private readonly opener: Opener<Req, Res>;
  private readonly stopped = new AbortController();

  constructor(
    open: Open<Req, Res>,
    public request: Req,
    private readonly settings: Settings<Req, Res, Item, Token>,
  ) {
    this.token = settings.after;
    this.seen = new Recent(settings.dedupe);
    this.judge = new Judge(settings, this.settle);
    this.opener = new Opener(open);
  }

  /** All items, over all attempts. */
  async *items(): AsyncGenerator<Item, void, undefined> {
    const { stallMs, onAttemptEnd } = this.settings;
    for (;;) {
      const attempt = this.begin();
      let verdict: Verdict = 'end';
      try {
        await this.connect(attempt);
        while (attempt.live) {
          const message = attempt.read();
          if (message === null) await attempt.wait(stallMs);
          else
            for (const item of this.itemsOf(message)) {
              if (!this.isNew(item)) continue;
              attempt.fresh = true;
              this.judge.progress();
              if (this.isBookmark(item)) this.delivered();
              else yield item;
            }
        }
        verdict = await this.verdict(attempt);
      } finally {
        await attempt.cancel();
        survive(() => onAttemptEnd?.(attempt, retryMsOf(verdict)));
      }
      if (verdict === 'end') return;
      if ('reason' in verdict) throw this.error(attempt, verdict.reason);
      await sleep(verdict.retryMs, this.stopped.signal);
    }
  }

  /** The item offered last is the consumer's now. */
  delivered(): void {
    if (this.offered !== undefined) this.token = this.offered;
  }

  /** Ends it at once, whatever it waits for. */
  stop(): void {
    this.stopped.abort();
    void this.attempts.at(-1)?.cancel();
  }

  private begin(): LiveAttempt<Res, Token> {
    const attempt = new LiveAttempt<Res, Token>(++this.count, this.judge.retry, this.token);
    if (this.attempts.push(attempt) > MAX_ATTEMPTS_KEPT) this.attempts.shift();
    survive(() => this.settings.onAttempt?.(attempt));
    return attempt;
  }

  private async connect(attempt: LiveAttempt<Res, Token>): Promise<void> {
    const { settings, token } = this;
    const { metadata: given } = settings;
    const asked = typeof given === 'function' ? await this.settle(given(attempt)) : given;
    if (asked !== undefined) checkMetadata('metadata()', asked);
    const metadata = asked?.clone() ?? new Metadata();
    if (token !== undefined && settings.resume) {
      const next = await this.settle(settings.resume(this.request, token));
      this.request = this.requestOf('resume', next);
    } else if (token !== undefined) metadata.set('last-event-id', headerOf(token) as string);
    this.stopped.signal.throwIfAborted();
    const options: CallOptions = {};
    if (settings.deadlineMs !== Infinity) {
      const now = Date.now();
      options.deadline = Math.min(settings.deadlineMs, now + MAX_ATTEMPT_MS);
      attempt.expires = performance.now() + options.deadline - now;
    }
    const stream = this.opener.start(this.request, metadata, options);
    attempt.attach(stream, () => survive(() => settings.onHeader?.(attempt)));
  }

  private itemsOf(message: Res): Iterable<Item> {
    const { items } = this.settings;
    return items ? answerOf('items', 'an iterable', items(message), isIterable<Item>) : [message as never];
  }

  private isNew(item: Item): boolean {
    const { token, checkToken, dedupe } = this.settings;
    if (!token) return true;
    this.offered = token(item);
    checkToken(this.offered);
    if (dedupe === 0 || this.offered === undefined) return true;
    if (this.seen.has(this.offered)) return false;
    this.seen.add(this.offered);
    return true;
  }

  private isBookmark(item: Item): boolean {
    const { bookmark } = this.settings;
    return bookmark !== undefined && answerOf('bookmark', 'a boolean', bookmark(item), isBoolean);
  }

  private async verdict(attempt: LiveAttempt<Res, Token>): Promise<Verdict> {
    const { token, request, settings } = this;
    const ended = attempt.status;
    if (ended === undefined || this.stopped.signal.aborted) return 'end';
    const lost = ended.code === status.OUT_OF_RANGE && token !== undefined;
    if (!lost) return this.judge.judge(attempt, ended);
    const next = await this.settle(settings.onResumeLost?.({ token, request, status: ended }));
    if (next === undefined) return { reason: 'resume-lost' };
    this.request = this.requestOf('onResumeLost', next);
    this.token = undefined;
    this.seen = new Recent(settings.dedupe);
    return this.judge.judge(attempt, ended, true);
  }

  /** A request that a hook made, which is at least of the type of the one before. */
  private requestOf(hook: string, next: unknown): Req {
    const type = typeof this.request;
    const is = (answer: unknown): answer is Req => typeof answer === type && answer !== null;
    return answerOf(hook, `a request (${type})`, next, is);
  }

  /** What a hook answers, unless nobody listens any more before it does. */
  private readonly settle = async <T>(answer: T | PromiseLike<T>): Promise<T> => {
    if (!isThenable(answer)) return answer;
    const { signal } = this.stopped;
    if (signal.aborted) forget(answer);
    signal.throwIfAborted();
    let leave: (() => void) | undefined;
    const left = new Promise<never>((_resolve, reject) => {
      leave = () => reject(signal.reason);
      signal.addEventListener('abort', leave);
    });
    try {
      return await Promise.race([answer, left]);
    } finally {
      signal.removeEventListener('abort', leave as () => void);
    }
  };

  private error(attempt: LiveAttempt<Res, Token>, reason: GiveUpReason): SubscribeError {
    const ended = attempt.status as StatusObject;
    return new SubscribeError(shown(ended, reason), reason, this.attempts, attempt.error);
  }
}

/** The status that a subscription fails with is not always that of its last attempt. */
function shown(ended: StatusObject, reason: GiveUpReason): StatusObject {
  if (reason === 'deadline' && ended.code !== status.DEADLINE_EXCEEDED) {
    const details = 'the deadline is reached before the next attempt';
    return { ...ended, code: status.DEADLINE_EXCEEDED, details };
  }
  if (ended.code !== status.OK) return ended;
  return { ...ended, code: status.UNAVAILABLE, details: 'the stream ends with OK again and again' };
}

function isIterable<Item>(answer: unknown): answer is Iterable<Item> {
  return typeof answer === 'object' && answer !== null && Symbol.iterator in answer;
}

function retryMsOf(verdict: Verdict): number | undefined {
  return typeof verdict === 'object' && 'retryMs' in verdict ? verdict.retryMs : undefined;
}
