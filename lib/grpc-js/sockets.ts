/** What a server of grpc-js has of its connections; private to it, and might be missing. */
interface Sessions {
  readonly http2Servers?: Map<unknown, { readonly sessions?: Iterable<Session> }>;
}

interface Session {
  readonly socket?: { readonly destroySoon?: () => void; readonly resetAndDestroy?: () => void };
}

/**
 * Takes hold of the connections that a server has now, and answers with what ends them for good: gently, or at once.
 * Node waits without end for the other side of a session that was told to close, and a client that is gone without a
 * word never says that it is: its socket would keep the process.
 */
export function connectionsOf(server: object): { end(): void; cut(): void } {
  const ends: (() => void)[] = [];
  const cuts: (() => void)[] = [];
  for (const { sessions = [] } of (server as Sessions).http2Servers?.values() ?? [])
    for (const session of sessions) {
      try {
        // Node gives these bound to the socket, which cannot be had any more when its session is destroyed.
        const { destroySoon, resetAndDestroy } = session.socket ?? {};
        if (destroySoon) ends.push(destroySoon);
        if (resetAndDestroy) cuts.push(resetAndDestroy);
      } catch {
        // It has no socket any more.
      }
    }
  return { end: () => each(ends), cut: () => each(cuts) };
}

function each(steps: readonly (() => void)[]): void {
  for (const step of steps) {
    try {
      step();
    } catch {
      // It is closed, or of a kind that cannot be reset.
    }
  }
}
