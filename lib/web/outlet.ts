import type { Encoding, Outlet, Serialize } from '../wire/port.ts';
import { isHttp2, type WebResponse } from './transport.ts';

type Taken = (error?: Error | null) => void;

/** How often in one turn of the event loop a socket is given more. */
const WRITES_A_TURN = 8;

/** The response as what delivers messages sees it: frames as they are, as base64, or events without a frame. */
export class ResponseOutlet implements Outlet {
  readonly maxBytes: number = Number.POSITIVE_INFINITY;
  readonly serialize: Serialize;
  readonly text: Encoding['text'];
  /** So many writes in this turn. */
  private writes = 0;
  /** What was taken, and is told in the next turn. */
  private waiting: Taken[] = [];
  private readonly turned: (() => void) | undefined;

  constructor(
    private readonly response: WebResponse,
    { serialize, text }: Encoding,
    private readonly base64: boolean,
    private readonly wrote: () => void,
  ) {
    this.serialize = serialize;
    this.text = text;
    this.turned = isHttp2(response) ? undefined : () => this.turn();
  }

  get ended(): boolean {
    return this.response.writableEnded;
  }

  write(frames: Buffer, taken: Taken): void {
    this.wrote();
    // As one of two types, its overloads are told apart by nobody.
    const response = this.response as { write(chunk: Buffer, done: Taken): unknown };
    const bytes = this.base64 ? Buffer.from(frames.toString('base64'), 'latin1') : frames;
    response.write(bytes, this.turned ? this.inTurns(taken, this.turned) : taken);
  }

  sent(): void {}

  /**
   * A socket takes megabytes without the event loop having its turn, so that a source that never waits would let nobody
   * else run until the kernel's buffers are full; HTTP/2 always says in a later turn what it took.
   */
  private inTurns(taken: Taken, turned: () => void): Taken {
    if (this.writes === 0) setImmediate(turned);
    this.writes += 1;
    if (this.writes < WRITES_A_TURN) return taken;
    return error => {
      if (error || this.writes === 0) taken(error);
      else this.waiting.push(taken);
    };
  }

  private turn(): void {
    this.writes = 0;
    for (const taken of this.waiting.splice(0)) taken();
  }
}
