import type { ServerHttp2Stream } from 'node:http2';
import type { Outlet, Serialize } from '../wire/port.ts';

/** Counts for channelz. */
export interface Tracker {
  addMessageSent?(): void;
}

/** The HTTP/2 stream of a call that has nobody between itself and grpc-js. */
export class StreamOutlet implements Outlet {
  constructor(
    private readonly stream: ServerHttp2Stream,
    readonly serialize: Serialize,
    readonly maxBytes: number,
    private readonly tracker: Tracker | null | undefined,
  ) {}

  get ended(): boolean {
    return this.stream.writableEnded;
  }

  write(frames: Buffer, taken: (error?: Error | null) => void): void {
    this.stream.write(frames, taken);
  }

  sent(messages: number): void {
    for (let message = 0; message < messages; message++) this.tracker?.addMessageSent?.();
  }
}

let traced: boolean | undefined;

/** Whether grpc-js is asked to trace: what it is to tell of has to go through it. */
export function isTraced(): boolean {
  if (traced === undefined) {
    const names = (process.env.GRPC_NODE_TRACE ?? process.env.GRPC_TRACE ?? '').split(',');
    traced = (names.includes('server_call') || names.includes('all')) && !names.includes('-server_call');
  }
  return traced;
}
