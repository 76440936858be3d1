import { EventEmitter } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';

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
  const { removeAllListeners } = EventEmitter.prototype;
  removeAllListeners.call(this, 'removeListener');
  removeAllListeners.call(this);
}
