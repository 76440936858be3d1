import type { Socket } from 'node:net';
import { after } from '../timers.ts';

/** How long a client may go on sending what nobody reads, once it is answered, in milliseconds. */
const LINGER_MS = 1000;

/**
 * Closes a connection after its answer in two steps: our side at once, the client's when it has read the answer. Node
 * would close both, and a client that still sends would get a reset, which takes the answer away from it.
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-9.6-12
 */
export function linger(socket: Socket): void {
  socket.destroySoon = () => {
    socket.end();
    const timer = after(LINGER_MS, () => socket.destroy()).unref();
    socket.once('close', () => timer.stop());
  };
}
