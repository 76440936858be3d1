/**
 * Buffered sending: messages wait for each other for a moment and go out together, or merged into one.
 * @module
 */

import { checkDuration, checkFunction, checkInteger, checkOptions, expected } from '../lib/check.ts';
import { answerOf, isMessage } from '../lib/hooks.ts';
import { once } from '../lib/inside.ts';
import { answersOnce, forStreams } from '../lib/kinds.ts';
import { makes } from '../lib/made.ts';
import { tell } from '../lib/report.ts';
import { outcomeOf } from '../lib/status/status.ts';
import { after, type Timer } from '../lib/timers.ts';
import type { Call, Middleware, Outcome } from '../lib/types.ts';

/** When a batch is complete, and what becomes of it. */
export interface BatchOptions<Res> {
  /**
   * How many messages make a batch. Minimum 1.
   * @default 100
   */
  readonly maxItems?: number;
  /**
   * How many bytes make a batch, as `size` counts them; a message that would exceed it begins the next batch, and
   * one that exceeds it by itself goes alone. Needs `size`. Minimum 1.
   * @default no bound
   */
  readonly maxBytes?: number;
  /** The size of a message in bytes, for `maxBytes`: layers do not know what a message will be encoded to. */
  readonly size?: (message: Res) => number;
  /**
   * How long the first message of a batch waits at most, in milliseconds. Minimum 0.
   * @default 100
   */
  readonly maxDelayMs?: number;
  /** Makes one message of a batch. Without it the messages are sent as they are, one after the other. */
  readonly merge?: (messages: Res[]) => Res;
  /** Hears how many messages were waiting when the client went away or its deadline passed: nobody gets them. */
  readonly onDrop?: (count: number, call: Call) => void;
}

/**
 * Holds messages until there are enough of them, or the first has waited long enough, or the call ends: then they
 * go before the status, also before that of an error. Once the client is gone they are dropped. It holds the
 * objects themselves: do not change a message that you have yielded.
 *
 * A source is still not pulled while the client takes nothing, so that beyond the window there is never more than
 * one batch. With `merge` a message costs a fraction of what it costs alone; without, batches only make fewer and
 * larger writes of sources that yield now and then. One that stands on several mounts of a call batches once. Calls
 * that are answered with one message go past it.
 *
 * What `size` or `merge` throws, or a promise of theirs, ends the call; what `onDrop` fails with is reported.
 *
 * @example
 * batch({ maxItems: 50, maxDelayMs: 10, merge: lists => ({ nums: lists.flatMap(list => list.nums) }) });
 * @throws TypeError when an option is out of its range, or `maxBytes` is given without `size`.
 */
export function batch<Res = any>(options: BatchOptions<Res> = {}): Middleware<any, Res> {
  checkOptions(options, ['maxItems', 'maxBytes', 'size', 'maxDelayMs', 'merge', 'onDrop']);
  const { maxItems = 100, maxBytes = Infinity, size, maxDelayMs = 100, merge, onDrop } = options;
  checkInteger('maxItems', maxItems, 1);
  if (maxBytes !== Infinity) checkInteger('maxBytes', maxBytes, 1);
  if (size !== undefined) checkFunction('size', size);
  else if (maxBytes !== Infinity) throw expected('size', 'a function, as `maxBytes` is given', size);
  checkDuration('maxDelayMs', maxDelayMs);
  if (merge !== undefined) checkFunction('merge', merge);
  if (onDrop !== undefined) checkFunction('onDrop', onDrop);
  return forStreams('batch()', function batch(call, next) {
    if (answersOnce(call) || !once(call, batch)) return;
    let held: Res[] = [];
    let bytes = 0;
    let timer: Timer | undefined;

    const flush = () => {
      if (held.length === 0) return;
      const messages = held;
      held = [];
      bytes = 0;
      if (merge) next.message(answerOf('merge', 'a message', merge(messages), isMessage) as Res);
      else for (const message of messages) next.message(message);
    };
    const due = () => {
      try {
        flush();
      } catch (error) {
        call.end(outcomeOf(error));
      }
    };
    /** One timer for all batches: it starts anew with each, and finds nothing to do after one that was full. */
    const arm = () => {
      if (timer) timer.again();
      else timer = after(maxDelayMs, due).unref();
    };

    return {
      message(message) {
        if (size !== undefined) {
          const added = answerOf('size', 'a number of bytes', size(message), isSize);
          if (bytes + added > maxBytes) flush();
          bytes += added;
        }
        held.push(message);
        if (held.length >= maxItems || bytes >= maxBytes) flush();
        else if (held.length === 1) arm();
      },
      end(outcome) {
        timer?.stop();
        if (!isGone(outcome)) return flush();
        const { length } = held;
        held = [];
        if (length > 0 && onDrop) tell(call, () => onDrop(length, call));
      },
    };
  });
}

makes(batch);

function isSize(answer: unknown): answer is number {
  return typeof answer === 'number' && answer >= 0;
}

/** Whether nobody reads any more. */
function isGone({ reason }: Outcome): boolean {
  return reason === 'cancelled' || reason === 'disconnected' || reason === 'deadline';
}
