import type { Outlet, Serialize } from '../wire/port.ts';
import type { WebResponse } from './transport.ts';

/** The response as what delivers messages sees it: frames as they are, as base64, or events without a frame. */
export class ResponseOutlet implements Outlet {
  readonly maxBytes: number = Number.POSITIVE_INFINITY;

  constructor(
    private readonly response: WebResponse,
    readonly serialize: Serialize,
    /** Messages bring their own framing. */
    readonly bare: boolean,
    private readonly text: boolean,
    private readonly wrote: () => void,
  ) {}

  get ended(): boolean {
    return this.response.writableEnded;
  }

  write(frames: Buffer, taken: (error?: Error | null) => void): void {
    this.wrote();
    // As one of two types, its overloads are told apart by nobody.
    const response = this.response as { write(chunk: Buffer, done: typeof taken): unknown };
    response.write(this.text ? Buffer.from(frames.toString('base64'), 'latin1') : frames, taken);
  }

  sent(): void {}
}
