/** What a call can wait for: its source, its client, or a layer that holds the next message. */
export type Wait = 'source' | 'flow_control' | 'layer';

/** The wire, as whoever counts its messages sees it. */
interface Taking {
  readonly idle: boolean;
  readonly takenAt: number | undefined;
}

/**
 * What one call has sent and what it waited for, in plain fields. Times are milliseconds of `performance.now()`, read
 * once for all messages that go together.
 */
export class Stats {
  /** Messages handed to the wire. */
  messages = 0;
  /** Their encoded size in bytes, without framing; `undefined` where sizes cannot be known. */
  bytes: number | undefined = 0;
  readonly startedAt: number = performance.now();
  firstMessageAt: number | undefined;
  lastMessageAt: number | undefined;
  /** The longest time between two messages. */
  maxGapMs = 0;
  /** Time spent waiting for the source to yield. The wait that is still open is not in it: see `since`. */
  sourceMs = 0;
  /** Time spent waiting for the client to take what was sent. */
  flowControlMs = 0;
  /** What the call waits for now, and since when. */
  waiting: Wait | undefined;
  since = 0;

  /** @internal */
  readonly to: Taking | undefined;

  /** @internal */
  constructor(to?: Taking) {
    this.to = to;
  }

  /** Whether some of what was sent has not been taken by the client, as far as HTTP/2 tells. */
  get pending(): boolean {
    return this.to?.idle === false;
  }

  /** When the client last took something of what was sent, also a part of a message; `undefined` until it does. */
  get takenAt(): number | undefined {
    return this.to?.takenAt;
  }

  /** @internal */
  wait(reason: Wait | undefined, now: number): void {
    if (this.waiting === 'source') this.sourceMs += now - this.since;
    else if (this.waiting === 'flow_control') this.flowControlMs += now - this.since;
    this.waiting = reason;
    this.since = now;
  }

  /** @internal A message goes now, and maybe others with it. */
  handed(now: number): void {
    if (this.lastMessageAt === undefined) this.firstMessageAt = now;
    else if (now - this.lastMessageAt > this.maxGapMs) this.maxGapMs = now - this.lastMessageAt;
    this.lastMessageAt = now;
    if (this.waiting === 'source') this.wait('source', now);
  }

  /** @internal A message of this size, if that can be known. */
  counted(bytes: number | undefined): void {
    this.messages += 1;
    this.bytes = bytes === undefined || this.bytes === undefined ? undefined : this.bytes + bytes;
  }
}
