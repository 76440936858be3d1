import type { Metadata, StatusObject } from '@grpc/grpc-js';
import { checkDeadline, checkMetadata } from '../check.ts';
import {
  checkDuration,
  checkFunction,
  checkInteger,
  checkLimit,
  checkOneOf,
  checkOptions,
  checkSignal,
  expected,
} from '../sources/check.ts';
import { isErrorCode } from '../status/status.ts';
import { headerOf } from '../token.ts';
import type { Attempt } from './attempt.ts';
import { type Backoff, type BackoffOptions, backoff, checkBackoff, numberOf } from './backoff.ts';
import { type RetryRule, retryable } from './retry-rule.ts';
import { CARRIED, tokenCheck } from './token.ts';

/** A resume point that the server no longer has. */
export interface ResumeLost<Req, Token> {
  /** After which message the subscription was to go on. */
  readonly token: Token;
  /** The request that was refused. */
  readonly request: Req;
  /** What the server answered. */
  readonly status: StatusObject;
}

/** How a subscription resumes, what it retries, and when it gives up. */
export interface SubscribeOptions<Req, Res, Item = Res, Token = unknown> {
  /** Ends the subscription at once, also in the middle of a wait; the consumer gets `signal.reason` thrown. */
  readonly signal?: AbortSignal;
  /** When the whole subscription ends with `DEADLINE_EXCEEDED`: a date, or milliseconds since the epoch. */
  readonly deadline?: Date | number;
  /** Request metadata; a function is asked before each attempt. What it throws ends the subscription. */
  readonly metadata?: Metadata | ((attempt: Attempt<Token>) => Metadata | Promise<Metadata>);

  /** The items of a message that is a batch. Without it each message is one item. */
  readonly items?: (message: Res) => Iterable<Item>;
  /**
   * Where in the stream an item stands; `undefined` when it does not say. Makes the subscription resume. Without
   * `resume` a token must be what a header carries exactly: a string of visible ASCII, which may have blanks
   * within, a finite number, a bigint, or a `Long` of protobuf.js. Another one ends the subscription with a
   * TypeError at the item it is of. This, `items` and `bookmark` are asked for each message, and not waited for.
   */
  readonly token?: (item: Item) => Token | undefined;
  /** Whether an item only tells how far the stream is: it moves the token and is not yielded. */
  readonly bookmark?: (item: Item) => boolean;
  /** The token to begin after. */
  readonly after?: Token;
  /**
   * Makes the request that goes on after a token, from the request of the attempt before.
   * @default the same request, with the token in the request metadata `last-event-id`
   */
  readonly resume?: (request: Req, token: Token) => Req | Promise<Req>;
  /**
   * Hears that the server no longer has what comes after the token (`OUT_OF_RANGE`). Answers a request to go
   * on with, without a token, after the wait that follows any failure; without an answer, the subscription ends
   * with the error.
   */
  readonly onResumeLost?: (lost: ResumeLost<Req, Token>) => Req | undefined | Promise<Req | undefined>;
  /**
   * How many of the last tokens are remembered, so that an item that comes again is not yielded again.
   * Tokens must be primitives for it. Minimum 0.
   * @default 0
   */
  readonly dedupe?: number;

  /**
   * What `OK` does: the stream is over, or begins anew after a wait, from the token if there is one. An `OK`
   * that brought nothing new counts as a failure that the server answered with.
   * @default 'end'
   */
  readonly onOk?: 'end' | 'restart';
  /**
   * Which failures are retried: a list of codes, or a function.
   * @default retryable: UNAVAILABLE, RESOURCE_EXHAUSTED, ABORTED, a CANCELLED that nobody here asked for, and
   * broken connections under whatever name
   */
  readonly retry?: RetryRule;
  /**
   * Whether the very first attempt is retried when it fails before the server's headers came.
   * @default 'retry'
   */
  readonly firstFailure?: 'retry' | 'throw';
  /**
   * The wait before a retry: a function from the number of the retry to milliseconds, or options for `backoff`.
   * @default backoff()
   */
  readonly backoff?: Backoff | BackoffOptions;
  /**
   * The longest wait that a server can ask for (`grpc-retry-pushback-ms`, `google.rpc.RetryInfo`), in
   * milliseconds. Minimum 0.
   * @default 60000
   */
  readonly maxHintMs?: number;
  /**
   * How many milliseconds a stream must have been open to count as healthy: then the waits begin from the
   * shortest again. It is open once the server's headers are here; if none came before its end, since its start
   * if it ever had a connection. Minimum 0.
   * @default 10000
   */
  readonly healthyMs?: number;
  /**
   * How many attempts in a row may bring nothing new, unless they were healthy. Minimum 1.
   * @default Infinity
   */
  readonly maxAttempts?: number;
  /**
   * For how many milliseconds to try since something new last came, or a stream was healthy. Minimum 0.
   * @default Infinity
   */
  readonly maxElapsedMs?: number;
  /**
   * How many attempts in a row the server may answer, with anything but `UNAVAILABLE`, without anything new and
   * without having been healthy: trying on cannot help. Minimum 1.
   * @default 10
   */
  readonly maxFruitless?: number;
  /**
   * After how many milliseconds without a message, while one is waited for, the attempt is given up and the
   * next one made. Time in which this process was too busy to listen does not count. Minimum 0; for a server
   * that sends heartbeats.
   * @default Infinity
   */
  readonly stallMs?: number;

  /** Hears of each attempt, before it is opened. That this or another `on…` of an attempt fails is ignored. */
  readonly onAttempt?: (attempt: Attempt<Token>) => void;
  /** Hears that the server's headers are here. */
  readonly onHeader?: (attempt: Attempt<Token>) => void;
  /** Hears that an attempt is over, and in how many milliseconds there will be another, if there will. */
  readonly onAttemptEnd?: (attempt: Attempt<Token>, retryMs: number | undefined) => void;
}

/** The options with everything that has a default filled in, and checked. */
export type Settings<Req, Res, Item, Token> = SubscribeOptions<Req, Res, Item, Token> &
  Limits & {
    readonly dedupe: number;
    readonly stallMs: number;
    readonly checkToken: (token: unknown) => void;
  };

/** What decides whether and when to try again. */
export interface Limits {
  readonly onOk: 'end' | 'restart';
  readonly retry: RetryRule;
  readonly firstFailure: 'retry' | 'throw';
  readonly wait: Backoff;
  readonly maxHintMs: number;
  readonly healthyMs: number;
  readonly maxAttempts: number;
  readonly maxElapsedMs: number;
  readonly maxFruitless: number;
  /** When it is all over, in milliseconds since the epoch. */
  readonly deadlineMs: number;
}

const NAMES = [
  ...(['signal', 'deadline', 'metadata', 'items', 'token', 'bookmark', 'after', 'resume'] as const),
  ...(['onResumeLost', 'dedupe', 'onOk', 'retry', 'firstFailure', 'backoff', 'maxHintMs'] as const),
  ...(['healthyMs', 'maxAttempts', 'maxElapsedMs', 'maxFruitless', 'stallMs'] as const),
  ...(['onAttempt', 'onHeader', 'onAttemptEnd'] as const),
];

export function settingsOf<Req, Res, Item, Token>(
  options: SubscribeOptions<Req, Res, Item, Token>,
): Settings<Req, Res, Item, Token> {
  checkOptions(options, NAMES);
  const { deadline = Infinity, backoff: wait = {}, dedupe = 0, stallMs = Infinity } = options;
  const { onOk = 'end', retry = retryable, firstFailure = 'retry' } = options;
  const { metadata, maxHintMs = 60_000, healthyMs = 10_000 } = options;
  const { maxAttempts = Infinity, maxElapsedMs = Infinity, maxFruitless = 10 } = options;
  checkSignal(options.signal);
  for (const name of functions) checkFunction(name, options[name]);
  checkInteger('dedupe', dedupe, 0);
  if (dedupe > 0 && !options.token) throw expected('token', 'a function for `dedupe`', options.token);
  if (options.bookmark && !options.token) throw expected('token', 'a function for `bookmark`', options.token);
  checkOneOf('onOk', onOk, ['end', 'restart']);
  checkOneOf('firstFailure', firstFailure, ['retry', 'throw']);
  if (typeof retry !== 'function' && !Array.isArray(retry))
    throw expected('retry', 'a list of status codes or a function', retry);
  if (typeof retry !== 'function')
    retry.forEach((code, index) => {
      if (!isErrorCode(code)) throw expected(`retry[${index}]`, 'a status from 1 to 16', code);
    });
  if (metadata !== undefined && typeof metadata !== 'function') checkMetadata('metadata', metadata);
  if (typeof wait !== 'function' && (typeof wait !== 'object' || wait === null))
    throw expected('backoff', 'a function or an object', wait);
  if (typeof wait !== 'function') checkBackoff('backoff', wait);
  checkDuration('stallMs', stallMs);
  checkDuration('maxHintMs', maxHintMs);
  checkDuration('healthyMs', healthyMs);
  checkDuration('maxElapsedMs', maxElapsedMs);
  checkLimit('maxAttempts', maxAttempts, 1);
  checkLimit('maxFruitless', maxFruitless, 1);
  const deadlineMs = checkDeadline(deadline);
  const { after, resume } = options;
  if (after !== undefined && !resume && headerOf(after) === undefined)
    throw expected('after', CARRIED, after);
  return {
    ...options,
    ...{ onOk, retry, firstFailure, dedupe, stallMs, deadlineMs },
    checkToken: tokenCheck(resume !== undefined, dedupe),
    ...{ maxHintMs, healthyMs, maxAttempts, maxElapsedMs, maxFruitless },
    wait: sound(typeof wait === 'function' ? wait : backoff(wait)),
  };
}

/** A wait that is none is the fault of who says it, not of the timer. */
function sound(wait: Backoff): Backoff {
  return retry => {
    const ms = numberOf('backoff', wait(retry));
    checkDuration(`backoff(${retry})`, ms);
    return ms;
  };
}

const functions = [
  'items',
  'token',
  'bookmark',
  'resume',
  'onResumeLost',
  'onAttempt',
  'onHeader',
  'onAttemptEnd',
] as const;
