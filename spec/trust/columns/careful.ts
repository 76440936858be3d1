import { once } from 'node:events';
import { Metadata } from '@grpc/grpc-js';
import type { Handler, Source } from '../row.ts';

class Status extends Error {
  constructor(
    readonly code: number,
    readonly details: string,
  ) {
    super(details);
  }
}

/**
 * A handler by hand, as carefully as its author can: it waits for `drain`, stops its source when the client leaves,
 * catches everything, tells the client only what is meant for it, and says nothing after the end.
 */
export function careful(source: Source): Handler {
  return async call => {
    const leaving = new AbortController();
    const { signal } = leaving;
    const header = new Metadata();
    const trailer = new Metadata();
    let iterator: AsyncIterator<object> | undefined;
    let open = true;
    let sent = false;
    const sendHeader = () => {
      if (!sent) call.sendMetadata(header);
      sent = true;
    };
    call.once('cancelled', () => {
      if (!open) return;
      leaving.abort(new Error('the client has left'));
      Promise.resolve(iterator?.return?.()).catch(() => {});
    });
    try {
      const made = await source({
        signal,
        header: (key, value) => header.set(key, value),
        trailer: (key, value) => trailer.set(key, value),
        sendHeader,
        status: (code, details) => new Status(code, details),
      });
      iterator = (made as AsyncIterable<object>)[Symbol.asyncIterator]();
      for (let step = await iterator.next(); !step.done; step = await iterator.next()) {
        if (signal.aborted) return;
        sendHeader();
        if (!call.write(step.value)) await once(call, 'drain', { signal });
      }
      if (!signal.aborted) call.end(trailer);
    } catch (error) {
      if (signal.aborted) return;
      const { code, details } = error instanceof Status ? error : { code: 13, details: 'internal error' };
      call.emit('error', { name: 'Error', message: details, code, details, metadata: trailer } as Error);
    } finally {
      open = false;
    }
  };
}
