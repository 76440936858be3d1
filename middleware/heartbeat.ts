/**
 * A message now and then on a stream that is idle, for the proxies on the way: they do not count HTTP/2 pings.
 * @module
 */

import { checkFunction, checkOptions, expected } from '../lib/check.ts';
import { answerOf, isMessage } from '../lib/hooks.ts';
import { once } from '../lib/inside.ts';
import { answersOnce, forStreams } from '../lib/kinds.ts';
import { makes } from '../lib/made.ts';
import { uncounted } from '../lib/stats.ts';
import { outcomeOf } from '../lib/status/status.ts';
import { after, MAX_TIMER_MS, type Timer } from '../lib/timers.ts';
import type { Call, Middleware } from '../lib/types.ts';

/** What is sent when nothing else is, and how soon. */
export interface HeartbeatOptions<Res> {
  /**
   * How long a stream is idle before a heartbeat is sent, and between two of them, in milliseconds. Minimum 1.
   * @default 30000
   */
  readonly everyMs?: number;
  /** Makes the message, which clients must know from data, such as one with no field set. */
  readonly make: (call: Call) => Res;
}

/**
 * Sends a message whenever nothing was sent for a while, from the start of the source until the call ends, also
 * while a rate or a batch holds what the source yields; never while the client has not taken what was sent before.
 * A heartbeat is no data: `call.stats`, and with it metrics, logs and idle timeouts, are as if it had not been sent,
 * on all mounts of its call. It sends the headers as any message does: what a source sets after that comes too late.
 *
 * List it first: a heartbeat passes the layers before it, and `batch()` would hold it. One that stands on several
 * mounts of a call beats once, on the outermost; for a call that is answered with one message it never does. What
 * `make` throws, or a promise of it, ends the call.
 *
 * @example
 * mount(server, WatchService.service, sources, heartbeat({ everyMs: 20_000, make: () => ({}) }));
 * @throws TypeError when an option is out of its range.
 */
export function heartbeat<Res = any>(options: HeartbeatOptions<Res>): Middleware<any, Res> {
  checkOptions(options, ['everyMs', 'make']);
  const { everyMs = 30_000, make } = options;
  if (typeof everyMs !== 'number' || !(everyMs >= 1 && everyMs <= MAX_TIMER_MS))
    throw expected('everyMs', `a number of milliseconds from 1 to ${MAX_TIMER_MS}`, everyMs);
  checkFunction('make', make);
  return forStreams('heartbeat()', function heartbeat(call, next) {
    if (answersOnce(call) || !once(call, heartbeat)) return;
    const { stats } = call;
    let last = stats.startedAt;
    let ended = false;
    let timer: Timer | undefined;

    const send = () => {
      const message = answerOf('make', 'a message', make(call), isMessage) as Res;
      uncounted(stats, () => next.message(message));
    };
    const beat = () => {
      const now = performance.now();
      let left = Math.max(last, stats.lastMessageAt ?? 0, stats.takenAt ?? 0) + everyMs - now;
      if (left <= 0) {
        left = everyMs;
        if (stats.waiting !== undefined && !stats.pending) {
          last = now;
          try {
            send();
          } catch (error) {
            call.end(outcomeOf(error));
          }
        }
      }
      if (!ended) arm(left);
    };
    const arm = (ms: number) => {
      timer = after(Math.ceil(ms), beat).unref();
    };

    return {
      // Here, so that what `make` does belongs to the span of the call.
      start(inner) {
        arm(everyMs);
        inner();
      },
      end() {
        ended = true;
        timer?.stop();
      },
    };
  });
}

makes(heartbeat);
