import { EventEmitter } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';

/** What leads from a call of grpc-js to whoever serves it; it expects both to be `null` where there is nobody. */
interface Heard {
  listener?: unknown;
  callEventTracker?: unknown;
}

const { removeAllListeners } = EventEmitter.prototype;

/**
 * Lets go of all that listens to a stream once it is closed. Node holds a closed stream, by a handle that points back to
 * it, until the old part of the heap is collected, and with it the call of grpc-js and ours; what is young dies cheap.
 */
export function letGoOnceClosed(stream: ServerHttp2Stream): void {
  stream.on('close', letGo);
}

/** Who listens to the same event is called all the same. */
function letGo(this: ServerHttp2Stream): void {
  // While somebody hears of each that is removed, as HTTP/2 itself does, they are removed one by one; and that of a
  // Readable looks in another turn what it has left.
  removeAllListeners.call(this as EventEmitter, 'removeListener');
  removeAllListeners.call(this as EventEmitter);
}

/**
 * The same for a Writable that grpc-js gives to a handler, when nobody but us has it. V8 makes a closure that is assigned
 * to a property in the old part of the heap at once, and each Writable has one, by which it lives as long. When some
 * thousand calls have lived so, V8 makes parts of all others there as well.
 */
export function letGoOf(given: object, base: Heard, stream: ServerHttp2Stream): void {
  // After the turn in which grpc-js tells that the call is over.
  stream.on('close', () => process.nextTick(forget, base, given));
}

function forget(base: Heard, given: object): void {
  base.listener = null;
  base.callEventTracker = null;
  removeAllListeners.call(given as EventEmitter);
}
