/** What a call may be waiting for: its source, its client, or a layer that holds the next message. */
export type Wait = 'source' | 'flow_control' | 'layer';

/** Where messages go, as whoever counts them sees it. */
interface Taking {
  readonly idle: boolean;
  readonly takenAt: number | undefined;
}

/**
 * What one call has sent and what it waited for. Times are milliseconds of `performance.now()`, read once for all
 * messages that go together.
 */
export interface Stats {
  /** Messages handed to the wire. */
  readonly messages: number;
  /** Their encoded size in bytes, without framing; `undefined` where sizes cannot be known. */
  readonly bytes: number | undefined;
  /** When the call began. */
  readonly startedAt: number;
  /** When its first message was handed to the wire; `undefined` until then. */
  readonly firstMessageAt: number | undefined;
  /** When the latest was; `undefined` until there is one. */
  readonly lastMessageAt: number | undefined;
  /** The longest time between two messages, in milliseconds. */
  readonly maxGapMs: number;
  /** Milliseconds spent waiting for the source to yield. The wait that is still open is not in it: see `since`. */
  readonly sourceMs: number;
  /** Milliseconds spent waiting for the client to take what was sent. */
  readonly flowControlMs: number;
  /** What the call waits for now. */
  readonly waiting: Wait | undefined;
  /** Since when it does, or runs. */
  readonly since: number;
  /** Whether some of what was sent has not been taken by the client, as far as HTTP/2 tells. */
  readonly pending: boolean;
  /** When the client last took something of what was sent, also a part of a message; `undefined` until it does. */
  readonly takenAt: number | undefined;
}

/** The counts of one call, in plain fields. */
export class Tally implements Stats {
  messages = 0;
  bytes: number | undefined = 0;
  readonly startedAt: number = performance.now();
  firstMessageAt: number | undefined;
  lastMessageAt: number | undefined;
  maxGapMs = 0;
  sourceMs = 0;
  flowControlMs = 0;
  waiting: Wait | undefined;
  since = 0;
  /** What is sent now is not counted. */
  off = false;

  constructor(private readonly to?: Taking) {}

  get pending(): boolean {
    return this.to?.idle === false;
  }

  get takenAt(): number | undefined {
    return this.to?.takenAt;
  }

  wait(reason: Wait | undefined, now: number): void {
    if (this.waiting === 'source') this.sourceMs += now - this.since;
    else if (this.waiting === 'flow_control') this.flowControlMs += now - this.since;
    this.waiting = reason;
    this.since = now;
  }

  /** A message goes now, and maybe others with it. */
  handed(now: number): void {
    if (this.off) return;
    if (this.lastMessageAt === undefined) this.firstMessageAt = now;
    else if (now - this.lastMessageAt > this.maxGapMs) this.maxGapMs = now - this.lastMessageAt;
    this.lastMessageAt = now;
    if (this.waiting === 'source') this.wait('source', now);
  }

  /** A message of this size, if that can be known. */
  counted(bytes: number | undefined): void {
    if (this.off) return;
    this.messages += 1;
    this.bytes = bytes === undefined || this.bytes === undefined ? undefined : this.bytes + bytes;
  }

  uncounted(send: () => void): void {
    this.off = true;
    try {
      send();
    } finally {
      this.off = false;
    }
  }
}

/** What went past the counts of one mount, for those further out that it goes through. */
const leftOut = new WeakSet<object>();
/** Whether there ever was one: a look at the set costs each message some nanoseconds. */
let some = false;

/** Says of a message that it is no data, whichever mount it comes to. */
export function leaveOut(message: unknown): void {
  if (typeof message !== 'object' || message === null) return;
  some = true;
  leftOut.add(message);
}

/** Whether a mount further in sent it as no data. */
export function isLeftOut(message: unknown): boolean {
  return some && leftOut.has(message as object);
}

/** Sends what is no data, such as a heartbeat, past the counts of a call. */
export function uncounted(stats: Stats, send: () => void): void {
  const { uncounted } = stats as Partial<Tally>;
  if (uncounted) uncounted.call(stats as Tally, send);
  else send();
}
