import { type CallOptions, Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { checkMetadata } from '../check.ts';
import { Recent } from '../sources/recent.ts';
import { sleep } from '../sources/sleep.ts';
import { LiveAttempt } from './attempt.ts';
import { type Open, Opener } from './open.ts';
import type { Settings } from './options.ts';
import { type GiveUpReason, SubscribeError } from './subscribe-error.ts';
import { headerOf } from './token.ts';
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
    this.judge = new Judge(settings);
    this.opener = new Opener(open);
  }

  /** All items, over all attempts. */
  async *items(): AsyncGenerator<Item, void, undefined> {
    const { items, bookmark, stallMs, onAttemptEnd } = this.settings;
    for (;;) {
      const attempt = this.begin();
      let verdict: Verdict = 'end';
      try {
        await this.connect(attempt);
        while (attempt.live) {
          const message = attempt.read();
          if (message === null) await attempt.wait(stallMs);
          else
            for (const item of items ? items(message) : [message as unknown as Item]) {
              if (!this.isNew(item)) continue;
              attempt.fresh = true;
              this.judge.progress();
              if (bookmark?.(item)) this.delivered();
              else yield item;
            }
        }
        verdict = await this.verdict(attempt);
      } finally {
        await attempt.cancel();
        this.hook(onAttemptEnd, attempt, retryMsOf(verdict));
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
    this.hook(this.settings.onAttempt, attempt);
    return attempt;
  }

  private async connect(attempt: LiveAttempt<Res, Token>): Promise<void> {
    const { settings, token } = this;
    const { metadata: given } = settings;
    const asked = typeof given === 'function' ? await given(attempt) : given;
    if (asked !== undefined) checkMetadata('metadata()', asked);
    const metadata = asked?.clone() ?? new Metadata();
    this.stopped.signal.throwIfAborted();
    if (token !== undefined) {
      if (settings.resume) this.request = settings.resume(this.request, token);
      else metadata.set('last-event-id', headerOf(token) as string);
    }
    const options: CallOptions = {};
    if (settings.deadlineMs !== Infinity) {
      options.deadline = Math.min(settings.deadlineMs, Date.now() + MAX_ATTEMPT_MS);
      attempt.renewable = options.deadline < settings.deadlineMs;
    }
    const stream = this.opener.start(this.request, metadata, options);
    attempt.attach(stream, () => this.hook(settings.onHeader, attempt));
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

  private async verdict(attempt: LiveAttempt<Res, Token>): Promise<Verdict> {
    const { token, request } = this;
    const ended = attempt.status;
    if (ended === undefined || this.stopped.signal.aborted) return 'end';
    if (ended.code !== status.OUT_OF_RANGE || token === undefined) return this.judge.judge(attempt, ended);
    const next = await this.settings.onResumeLost?.({ token, request, status: ended });
    if (next === undefined) return { reason: 'resume-lost' };
    this.request = next;
    this.token = undefined;
    this.seen = new Recent(this.settings.dedupe);
    return { retryMs: 0 };
  }

  private error(attempt: LiveAttempt<Res, Token>, reason: GiveUpReason): SubscribeError {
    const ended = attempt.status as StatusObject;
    const details = 'the deadline is reached before the next attempt';
    const late = reason === 'deadline' && ended.code !== status.DEADLINE_EXCEEDED;
    const shown = late ? { ...ended, code: status.DEADLINE_EXCEEDED, details } : ended;
    return new SubscribeError(shown, reason, this.attempts, attempt.error);
  }

  private hook<Args extends unknown[]>(hook: ((...args: Args) => void) | undefined, ...args: Args): void {
    try {
      hook?.(...args);
    } catch {
      // An observer changes nothing.
    }
  }
}

function retryMsOf(verdict: Verdict): number | undefined {
  return typeof verdict === 'object' && 'retryMs' in verdict ? verdict.retryMs : undefined;
}
