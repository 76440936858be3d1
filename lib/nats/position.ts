import { status } from '@grpc/grpc-js';
import type { StreamInfo, StreamState } from '@nats-io/jetstream';
import { StatusError } from '../status/status.ts';

/** A place in a stream: the sequence number of a message, and when NATS stored it where that is known. */
export interface Position {
  readonly sequence: number;
  readonly ms: number | undefined;
}

/** What a client keeps, to go on after a message. The time tells a stream from one that was made anew. */
export function tokenOf(sequence: number, ms: number): string {
  return `${sequence}-${ms}`;
}

/**
 * Where a client was.
 *
 * @throws StatusError INVALID_ARGUMENT when it is neither a sequence number nor a token.
 */
export function positionOf(after: number | bigint | string): Position {
  const [, sequence, ms] = /^(\d+)(?:-(\d+))?$/.exec(String(after)) ?? [];
  const position = { sequence: Number(sequence), ms: ms === undefined ? undefined : Number(ms) };
  if (!Number.isSafeInteger(position.sequence) || !Number.isSafeInteger(position.ms ?? 0))
    throw new StatusError(
      status.INVALID_ARGUMENT,
      'the position to resume after is neither a sequence number nor a token of this stream',
    );
  return position;
}

/** Whether it is only what proto3 has for a field that was not set: no number that this stream can begin after. */
export function isUnset({ sequence, ms }: Position, { config, state }: StreamInfo): boolean {
  if (sequence !== 0 || ms !== undefined) return false;
  // A mirror has the numbers of another stream, which does not say where it began.
  return (config.mirror ? state.first_seq : (config.first_seq ?? 0)) > 1;
}

/** Whether two times are those of one message: nanoseconds lose their last digits on the way to a number. */
export function isSameTime(one: number, other: number): boolean {
  return Math.abs(one - other) <= 1;
}

/** Why one cannot go on after a position, given when the message there was stored, if it is still there. */
export function oddityAt(
  { sequence, ms }: Position,
  { first_seq: first, last_seq: last }: Pick<StreamState, 'first_seq' | 'last_seq'>,
  storedMs: number | undefined,
  strict: boolean,
): string | undefined {
  if (last < sequence) return `the stream went back to ${last}, before ${sequence}`;
  if (storedMs !== undefined && ms !== undefined && !isSameTime(storedMs, ms))
    return `the stream has another message ${sequence} now`;
  if (strict && first > sequence + 1) return `the stream begins at ${first}, which is beyond ${sequence + 1}`;
  return undefined;
}

export function outOfRange(why: string): StatusError {
  return new StatusError(status.OUT_OF_RANGE, why);
}

export function anotherStream(): StatusError {
  return outOfRange('the position to resume after is of another stream');
}
