import { answerOf } from '../hooks.ts';
import { stepOf } from '../streams/step.ts';
import type { Items, Source } from '../types.ts';
import { checkInteger, checkOptions, checkSignal, expected } from './check.ts';
import { iterate, keep, type Reader, release } from './iterate.ts';
import { finished, watchLeft } from './leaving.ts';
import { PullFeed } from './pull.ts';
import { Recent } from './recent.ts';

/** How history and live items are joined. */
export interface ReplayOptions<T> {
  /**
   * What tells one message from every other: a primitive, such as a sequence number or a unique string. Anything
   * else, and a promise of it, ends the stream with a TypeError.
   */
  readonly id: (item: T) => unknown;
  /**
   * How many of the last ids of history are remembered, to know them again among the live ones: at least as
   * many as are published while history is read. Minimum 1.
   * @default 65536
   */
  readonly window?: number;
  /** Ends it at once; the consumer gets `signal.reason` thrown. */
  readonly signal?: AbortSignal;
}

/**
 * Joins what was stored to what is live, without a gap and without a repeat. Listening to `live` begins
 * before `history` is opened; what comes meanwhile waits there, within the bound that `live` has.
 *
 * @param history give a function where asking begins at once, so that it is asked after `live` is listened to.
 * @example
 * return replay(() => store.eventsAfter(request.after), updates.subscribe(call), { id: event => event.id });
 * @throws TypeError when an option is out of its range.
 */
export function replay<T>(
  history: Source<T> | (() => Source<T> | Promise<Source<T>>),
  live: Source<T>,
  options: ReplayOptions<T>,
): Items<T> {
  if (typeof history !== 'function') keep('history', history, 'a stream or a function');
  checkOptions(options, ['id', 'window', 'signal']);
  const { id, window = 65_536, signal } = options;
  if (typeof id !== 'function') throw expected('id', 'a function', id);
  checkInteger('window', window, 1);
  checkSignal(signal);
  const present = iterate('live', live);
  /** What is live was asked for its first item, and has not answered. */
  let asked = false;
  let past: Reader<T> | undefined;
  let phase: 'unopened' | 'history' | 'live' | 'over' = 'unopened';

  const idOf = (item: T) => answerOf('id', 'a primitive', id(item), isPrimitive);

  async function* replay(): AsyncGenerator<T, void, undefined> {
    let ahead = present.read();
    asked = true;
    const answer = () => {
      asked = false;
    };
    ahead.then(answer, answer);
    const stored = typeof history === 'function' ? await history() : history;
    if (phase === 'over') return await release(stored);
    past = iterate('history', stored);
    phase = 'history';
    const seen = new Recent<unknown>(window);
    for (let step = stepOf(await past.read()); !step.done; step = stepOf(await past.read())) {
      seen.add(idOf(step.value));
      yield step.value;
    }
    watchLeft(past.ended());
    phase = 'live';
    for (let step = stepOf(await ahead); !step.done; step = stepOf(await ahead)) {
      if (!seen.delete(idOf(step.value))) yield step.value;
      ahead = present.read();
    }
    phase = 'over';
    watchLeft(present.ended());
  }

  async function stop(): Promise<void> {
    const was = phase;
    phase = 'over';
    await finished([
      was === 'unopened' && typeof history !== 'function' ? release(history) : undefined,
      was === 'history' ? past?.leave() : undefined,
      was !== 'over' ? present.leave() : undefined,
    ]);
  }

  return new PullFeed(replay(), {
    signal,
    stop,
    stuck: () => asked || present.stuck || (past?.stuck ?? false),
  });
}

/** What a `Set` finds again. */
function isPrimitive(answer: unknown): answer is unknown {
  return answer != null && typeof answer !== 'object' && typeof answer !== 'function';
}
