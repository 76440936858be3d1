import type { Stream } from '../types.ts';
import { checkInteger, checkOptions, checkSignal, expected } from './check.ts';
import { hush, isStream, iterate, read, release } from './iterate.ts';
import { PullFeed } from './pull.ts';
import { Recent } from './recent.ts';

export interface ReplayOptions<T> {
  /** What tells one message from every other: a primitive, such as a sequence number or a unique string. */
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
  history: Stream<T> | (() => Stream<T> | Promise<Stream<T>>),
  live: Stream<T>,
  options: ReplayOptions<T>,
): AsyncIterableIterator<T, undefined> & AsyncDisposable {
  if (typeof history !== 'function' && !isStream(history))
    throw expected('history', 'a stream or a function', history);
  checkOptions(options, ['id', 'window', 'signal']);
  const { id, window = 65_536, signal } = options;
  if (typeof id !== 'function') throw expected('id', 'a function', id);
  checkInteger('window', window, 1);
  checkSignal(signal);
  const present = iterate('live', live);
  if (typeof history !== 'function') hush(history);
  let past: AsyncIterator<T> | undefined;
  let phase: 'unopened' | 'history' | 'live' | 'over' = 'unopened';

  async function* replay(): AsyncGenerator<T, void, undefined> {
    let ahead = read(present);
    ahead.catch(() => {});
    const stored = typeof history === 'function' ? await history() : history;
    if (phase === 'over') return await release(stored);
    past = iterate('history', stored);
    phase = 'history';
    const seen = new Recent<unknown>(window);
    for (let step = await read(past); !step.done; step = await read(past)) {
      seen.add(id(step.value));
      yield step.value;
    }
    phase = 'live';
    for (let step = await ahead; !step.done; step = await ahead) {
      if (!seen.delete(id(step.value))) yield step.value;
      ahead = read(present);
    }
    phase = 'over';
  }

  async function stop(): Promise<void> {
    const was = phase;
    phase = 'over';
    await Promise.all([
      was === 'unopened' && typeof history !== 'function' ? release(history) : undefined,
      was === 'history' ? past?.return?.() : undefined,
      was !== 'over' ? present.return?.() : undefined,
    ]);
  }

  return new PullFeed(replay(), { signal, stop });
}
