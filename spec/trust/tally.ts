import { writeSync } from 'node:fs';
import type { Source, Tools } from './row.ts';

/** What became of the sources of this process. */
export interface Tally {
  started: number;
  /** Whose `finally` ran. */
  finished: number;
  pulled: number;
}

export const tally: Tally = { started: 0, finished: 0, pulled: 0 };

const AsyncGeneratorFunction = async function* () {}.constructor;

/** Counts what becomes of a source, where that is an async generator. */
export function tallied(source: Source): Source {
  if (!(source instanceof AsyncGeneratorFunction)) return source;
  return async function* (tools: Tools) {
    tally.started += 1;
    try {
      yield* counting(source(tools) as AsyncGenerator);
    } finally {
      tally.finished += 1;
    }
  };
}

function counting(inner: AsyncGenerator): AsyncIterable<unknown> {
  const iterator: AsyncIterator<unknown> = {
    next() {
      tally.pulled += 1;
      return inner.next();
    },
    return: () => inner.return(undefined),
    throw: error => inner.throw(error),
  };
  return { [Symbol.asyncIterator]: () => iterator };
}

/** Leaves the tally to whoever reads what this process wrote. */
export function tellAtExit(): void {
  process.on('exit', () => writeSync(1, `${JSON.stringify(tally)}\n`));
}
