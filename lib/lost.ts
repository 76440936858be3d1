import type { Http2Session } from 'node:http2';

/**
 * Whether a connection is gone. Some releases of Node, 22.12.0 and 20.19.0 among them, tell a stream of it when of its
 * session only the socket knows.
 */
export function isLost(session: Http2Session | undefined): boolean {
  if (session === undefined) return false;
  try {
    return session.destroyed || session.socket.destroyed;
  } catch {
    // Node has no socket to show any more.
    return true;
  }
}
