import { EventEmitter } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';

/** What leads from a call of grpc-js to whoever serves it: both are `null` before it starts, and may be again. */
interface Heard {
  listener?: unknown;
  callEventTracker?: unknown;
}

const { removeAllListeners } = EventEmitter.prototype;

/**
 * Lets go of all that a call leads to once its stream is closed: what is young then dies cheap. Two things would keep it
 * until the old part of the heap is collected. Node holds a closed stream, by a handle that points back to it. And V8
 * makes a closure that is assigned to a property in the old part at once: each Writable has one, that of grpc-js too,
 * which it gives to a handler. When some thousand have lived that long, V8 makes parts of all others there as well.
 *
 * @param given what the handler was given, when nobody but us has it.
 */
export function letGoOnceClosed(stream: ServerHttp2Stream, base: Heard, given: object | undefined): void {
  stream.on('close', () => {
    // While somebody hears of each that is removed, as HTTP/2 itself does, they are removed one by one; and that of a
    // Readable looks in another turn what it has left. Who listens to this event as well is called all the same.
    removeAllListeners.call(stream as EventEmitter, 'removeListener');
    removeAllListeners.call(stream as EventEmitter);
    // After the turn in which grpc-js tells that the call is over.
    process.nextTick(letGo, base, given);
  });
}

function letGo(base: Heard, given: object | undefined): void {
  base.listener = null;
  base.callEventTracker = null;
  if (given instanceof EventEmitter) removeAllListeners.call(given);
}
