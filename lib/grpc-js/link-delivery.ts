import { status } from '@grpc/grpc-js';
import { leaveOut } from '../stats.ts';
import { outcomeOf } from '../status/status.ts';
import { sharedFrame } from '../wire/broadcast.ts';
import { bytesOf, PREFIX_BYTES } from '../wire/frame.ts';
import type { Carrier, Delivery, Serialize } from '../wire/port.ts';
import type { Below } from './below.ts';

/**
 * Hands messages down a chain of interceptors, or to a call that cannot be looked into. While one of the chain
 * has a message, so that another one could overtake it or push it out, none follows.
 */
export class LinkDelivery implements Delivery {
  private unacked = 0;
  private sent = 0;
  /** What layers sent beyond the window: a pull waits for room, a flush does not. */
  private queue: unknown[] = [];
  private closed = false;
  private ackedAt: number | undefined;
  private readonly ack: () => void;

  constructor(
    private readonly link: { message(message: unknown, ack: () => void): void },
    private readonly below: Below,
    private readonly carrier: Carrier,
    /** Tells the sizes of messages; whoever is below encodes them once more. */
    private readonly serialize: Serialize | undefined,
  ) {
    this.ack = () => this.acknowledged();
  }

  get room(): boolean {
    return this.queue.length === 0 && this.fits(1);
  }

  get idle(): boolean {
    return this.unacked === 0 && this.queue.length === 0;
  }

  get brief(): boolean {
    return false;
  }

  get held(): boolean {
    return this.unacked > 0 && this.below.held();
  }

  get pendingBytes(): number {
    return this.below.pendingBytes();
  }

  /** An interceptor of ours below might know more than acknowledgements tell: that a part of a message was taken. */
  get takenAt(): number | undefined {
    const below = this.below.takenAt();
    return below === undefined || (this.ackedAt ?? below) > below ? this.ackedAt : below;
  }

  message(message: unknown): void {
    const { below, carrier } = this;
    const index = this.sent + this.queue.length;
    let bytes: number | undefined;
    try {
      bytes = this.sizeOf(message);
    } catch (error) {
      return carrier.fail(status.INTERNAL, 'could not be serialised', index, error);
    }
    if (bytes !== undefined && bytes > below.maxBytes) {
      const what = `has ${bytes} bytes, and ${below.maxBytes} may be sent`;
      return carrier.fail(status.RESOURCE_EXHAUSTED, what, index);
    }
    const { counted } = carrier.sender;
    counted?.handed(performance.now());
    if (counted?.off) leaveOut(message);
    if (bytes !== undefined) counted?.counted(bytes);
    if (this.queue.length === 0 && this.fits(bytes ?? 1)) return this.send(message, bytes === undefined);
    this.queue.push(message);
    if (bytes === undefined) counted?.counted(below.sizeOf(message));
  }

  flush(): void {
    if (!this.held) for (const message of this.queue.splice(0)) this.send(message);
  }

  close(): void {
    this.closed = true;
    this.queue = [];
  }

  private sizeOf(message: unknown): number | undefined {
    if (this.serialize === undefined) return undefined;
    const shared = sharedFrame(message, this.serialize);
    return shared ? shared.length - PREFIX_BYTES : bytesOf(this.serialize(message)).length;
  }

  private fits(bytes: number): boolean {
    if (this.unacked === 0) return true;
    const { maxUnackedMessages, maxUnackedBytes } = this.carrier.sender.settings;
    return (
      this.unacked < maxUnackedMessages && !this.held && this.below.pendingBytes() + bytes <= maxUnackedBytes
    );
  }

  private send(message: unknown, unsized = false): void {
    const { below, carrier } = this;
    if (below.gaveUp()) return carrier.givenUp();
    const stats = unsized ? carrier.sender.counted : undefined;
    const before = stats ? below.pendingBytes() : 0;
    this.unacked += 1;
    try {
      this.link.message(message, this.ack);
    } catch (error) {
      this.unacked -= 1;
      return carrier.sender.wireFailed(outcomeOf(error));
    }
    if (below.gaveUp()) {
      // It was told of there, and must not be told of as if it were another.
      const concluded = below.conclusion();
      if (concluded) return carrier.sender.wireFailed(concluded, true);
      const refusal = below.refusal(message);
      const code = below.sentStatus() ?? refusal.code;
      const what = code === status.RESOURCE_EXHAUSTED ? 'is too large' : 'could not be serialised';
      return carrier.fail(code, what, this.sent, refusal.cause);
    }
    this.sent += 1;
    stats?.counted(below.grown(before, message));
  }

  private acknowledged(): void {
    this.unacked -= 1;
    if (this.carrier.sender.counted) this.ackedAt = performance.now();
    if (this.closed) return;
    while (this.queue.length > 0 && this.fits(1)) this.send(this.queue.shift());
    // Waiting for half the window lets HTTP/2 send many at once, also when it takes one at a time.
    const half = this.carrier.sender.settings.maxUnackedMessages >> 1;
    if (this.idle || (this.unacked <= half && this.room)) this.carrier.progressed();
  }
}
