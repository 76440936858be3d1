import { type Metadata, type StatusObject, status } from '@grpc/grpc-js';
import type { Attempt } from './attempt.ts';

/**
 * Why a subscription gave up. `code`: a status that is not retried. `first-failure`: the first attempt failed
 * and was not to be retried. `refused`: the server asked for no retry. `attempts`, `elapsed`, `deadline`: that
 * limit was reached. `no-progress`: the server answers, but nothing new comes. `resume-lost`: the server no
 * longer has what comes after the last message.
 */
export type GiveUpReason =
  | 'code'
  | 'first-failure'
  | 'refused'
  | 'attempts'
  | 'elapsed'
  | 'deadline'
  | 'no-progress'
  | 'resume-lost';

/** The end of a subscription that failed: the last status, shaped as grpc-js shapes it, and how it came to it. */
export class SubscribeError extends Error {
  override readonly name = 'SubscribeError';
  /** The last status. */
  readonly code: status;
  /** What the server said with it. */
  readonly details: string;
  /** The trailers that came with the status. */
  readonly metadata: Metadata;
  /** Why nothing more was tried. */
  readonly reason: GiveUpReason;
  readonly #attempts: readonly Attempt[];

  constructor(
    { code, details, metadata }: StatusObject,
    reason: GiveUpReason,
    attempts: readonly Attempt[],
    cause: unknown,
  ) {
    super(`${code} ${status[code]}: ${details}`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
    this.metadata = metadata;
    this.reason = reason;
    this.#attempts = [...attempts];
  }

  /** The last 100 attempts, oldest first. Not shown when the error is printed. */
  get attempts(): readonly Attempt[] {
    return this.#attempts;
  }
}
