import { Metadata, status } from '@grpc/grpc-js';
import type { Failure } from '../sources/feed.ts';
import { StatusError } from '../status/status.ts';

/** Between which times those come back who are sent away, in milliseconds. */
const BACK_MS = [500, 3000] as const;

/** NATS is away for too long. Each who hears of it is told another time to come back, so that not all come at once. */
export class Gone implements Failure {
  constructor(
    /** What made it so. */
    readonly why: unknown,
  ) {}

  /** Made anew whenever it is read. */
  get error(): StatusError {
    const [from, to] = BACK_MS;
    const metadata = new Metadata();
    metadata.set('grpc-retry-pushback-ms', String(Math.round(from + Math.random() * (to - from))));
    return new StatusError(status.UNAVAILABLE, 'the stream is away', { cause: this.why, metadata });
  }
}
