import type { IncomingHttpHeaders } from 'node:http2';
import { FaultProxy } from '../client/fault-proxy.ts';
import { type Exchange, Peer, type RequestOptions } from '../support/peer.ts';
import { type RawCall, rawOpen } from '../support/raw.ts';
import { must, sleep } from './row.ts';
import type { State } from './server.ts';
import { item } from './service.ts';

/** What one call brought. */
export interface Reply {
  /** `undefined` when it closed, or hung, without one. */
  readonly code: number | undefined;
  readonly details: string;
  readonly messages: number[];
  readonly header: IncomingHttpHeaders;
  readonly trailer: IncomingHttpHeaders;
  /** It was still open when nobody wanted to wait any more. */
  readonly hangs: boolean;
}

export interface ServerProcess {
  readonly port: number;
  /** What became of its sources; `collected` for a heap without garbage. */
  state(collected?: boolean): Promise<State>;
  kill(signal: NodeJS.Signals): void;
  isAlive(): boolean;
}

/** How long a client waits for what has to come. */
const PATIENCE_MS = 3000;

/** A request without fields. */
const EMPTY = Buffer.alloc(0);

export const HOSTILE = '/trust.Trust/Hostile';

/** What plays the client of a row; the connections of one cell, closed after it. */
export class TestClient {
  readonly peers: Peer[] = [];
  private readonly raws: RawCall[] = [];
  private readonly proxies: FaultProxy[] = [];

  constructor(readonly server: ServerProcess) {}

  /** One more connection. */
  peer(initialWindowSize?: number): Peer {
    const { port } = this.server;
    const peer = new Peer(port, initialWindowSize === undefined ? {} : { settings: { initialWindowSize } });
    this.peers.push(peer);
    return peer;
  }

  /** A connection over a network that a row may break. */
  async far(): Promise<{ peer: Peer; proxy: FaultProxy }> {
    const proxy = await new FaultProxy(this.server.port).up();
    const peer = new Peer(proxy.port);
    this.peers.push(peer);
    this.proxies.push(proxy);
    return { peer, proxy };
  }

  open(options: RequestOptions = {}, peer: Peer = this.peer()): Exchange {
    return peer.open(EMPTY, { path: HOSTILE, ...options });
  }

  /** Opens a call whose body the row writes itself. */
  raw(headers: Record<string, string> = {}): RawCall {
    const raw = rawOpen(this.server.port, { ':path': HOSTILE, ...headers });
    this.raws.push(raw);
    return raw;
  }

  async read(options: RequestOptions = {}): Promise<Reply> {
    return replyOf(this.open(options));
  }

  /** Waits until the server's tally is as wanted. */
  async until(what: string, holds: (state: State) => boolean, withinMs = PATIENCE_MS): Promise<State> {
    const end = Date.now() + withinMs;
    for (let looks = 0; ; looks++) {
      const state = await this.server.state();
      if (holds(state)) return state;
      must(Date.now() < end || looks < 10, what);
      await sleep(10);
    }
  }

  /** Waits until that many sources run. */
  async arrived(count: number): Promise<State> {
    return this.until('the source does not start', ({ started }) => started >= count);
  }

  close(): void {
    for (const peer of this.peers) peer.session.destroy();
    for (const { session } of this.raws) session.destroy();
    for (const proxy of this.proxies) void proxy.down();
  }
}

/** Waits for the end of a call, not for ever. */
export async function replyOf(exchange: Exchange, withinMs: number = PATIENCE_MS): Promise<Reply> {
  const hangs = await Promise.race([exchange.closed.then(() => false), sleep(withinMs).then(() => true)]);
  const trailer = exchange.trailer ?? {};
  const status = trailer['grpc-status'];
  return {
    code: status === undefined ? undefined : Number(status),
    details: decoded(String(trailer['grpc-message'] ?? '')),
    messages: [...numbersIn(exchange.payload())],
    header: exchange.header ?? {},
    trailer,
    hangs,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The numbers of the messages that came whole. */
function* numbersIn(bytes: Buffer): Generator<number> {
  for (let at = 0; at + 5 <= bytes.length; ) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    if (end > bytes.length) return;
    yield item(bytes.subarray(at + 5, end)).number ?? 0;
    at = end;
  }
}
