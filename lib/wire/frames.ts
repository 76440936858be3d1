import { status } from '@grpc/grpc-js';
import { answersOnce } from '../kinds.ts';
import { outcomeOf } from '../status/status.ts';
import { sharedFrame } from './broadcast.ts';
import { BLOCK_BYTES, type Block, Filling } from './filling.ts';
import { bytesOf, frameOf, PREFIX_BYTES } from './frame.ts';
import type { Carrier, Delivery, Outlet } from './port.ts';

/**
 * Frames messages, and gives the transport those of a turn with one write, or one for every 16 KiB: a write costs
 * as much for many as for one. A message is encoded when it is taken, and may change after that.
 */
export class FrameDelivery implements Delivery {
  private unacked = 0;
  private unackedBytes = 0;
  /** What goes with the next write. */
  private readonly filling: Filling;
  /** Blocks that wait for the window. */
  private waiting: Block[] = NOTHING;
  /** Messages taken so far. */
  private taken = 0;
  /** What the window let through and HTTP/2 was not given yet: it gets little at once, to tell how far it is. */
  private outgoing: Block[] = NOTHING;
  /** How many bytes HTTP/2 was given that it has not taken. */
  private given = 0;
  takenAt: number | undefined;
  /** The block is written at the end of this turn, which is waited for. */
  private due = false;
  private closed = false;
  /** There is one message, which goes by itself. */
  private readonly alone: boolean;
  /** How many bytes come before each message. */
  private readonly prefix: number;

  constructor(
    private readonly outlet: Outlet,
    private readonly carrier: Carrier,
  ) {
    this.prefix = outlet.text ? 0 : PREFIX_BYTES;
    this.alone = answersOnce(carrier.sender) && !outlet.text;
    this.filling = this.alone ? NEVER_FILLED : new Filling();
  }

  get room(): boolean {
    const messages = this.unacked + this.filling.count;
    if (messages === 0) return true;
    const { maxUnackedMessages, maxUnackedBytes } = this.carrier.sender.settings;
    const bytes = this.unackedBytes + this.filling.used;
    return messages < maxUnackedMessages && bytes < maxUnackedBytes && this.waiting.length === 0;
  }

  /** HTTP/2 was not given everything yet: a status that goes now would cut off the rest. */
  get held(): boolean {
    return this.outgoing.length > 0;
  }

  get idle(): boolean {
    return this.unacked === 0 && this.filling.count === 0 && this.waiting.length === 0;
  }

  get brief(): boolean {
    return this.waiting.length === 0 && this.unackedBytes + this.filling.used <= BLOCK_BYTES;
  }

  get pendingBytes(): number {
    return this.unackedBytes;
  }

  message(message: unknown): void {
    const { outlet, carrier, prefix } = this;
    let shared: Buffer | undefined;
    let text: string | undefined;
    let encoded: Uint8Array | undefined;
    let size: number;
    try {
      shared = sharedFrame(message, outlet.serialize);
      if (shared) size = shared.length - PREFIX_BYTES;
      else if (outlet.text) {
        text = outlet.text(message);
        size = Buffer.byteLength(text);
      } else {
        encoded = bytesOf(outlet.serialize(message));
        size = encoded.length;
      }
    } catch (error) {
      return carrier.fail(status.INTERNAL, 'could not be serialised', this.taken, error);
    }
    if (size > outlet.maxBytes) {
      const what = `has ${size} bytes, and ${outlet.maxBytes} may be sent`;
      return carrier.fail(status.RESOURCE_EXHAUSTED, what, this.taken);
    }
    this.taken += 1;
    this.separate(prefix + size);
    const { counted } = carrier.sender;
    if (counted) {
      // One look at the clock for all of a turn.
      if (!this.due || counted.messages === 0) counted.handed(performance.now());
      counted.counted(size);
    }
    if (this.alone) return this.send(shared ?? frameOf(encoded as Uint8Array), 1);
    if (!this.due) this.writeAtEndOfTurn();
    const { filling } = this;
    if (encoded) filling.put(encoded);
    else if (text !== undefined) filling.putText(text, size);
    else if (shared) filling.putShared(prefix === 0 ? shared.subarray(PREFIX_BYTES) : shared);
  }

  /** Writes what the window has room for; or all there is. */
  write(all: boolean): void {
    if (this.closed) return;
    while (this.waiting.length > 0) {
      const { frames, messages } = this.waiting[0] as Block;
      if (!all && !this.fits(frames.length, messages)) return;
      this.waiting.shift();
      this.send(frames, messages);
    }
    if (this.filling.count > 0 && (all || this.fits(this.filling.used, this.filling.count))) {
      const { frames, messages } = this.filling.cut();
      this.send(frames, messages);
    }
  }

  flush(): void {
    this.write(true);
  }

  close(): void {
    this.closed = true;
    this.waiting = NOTHING;
    for (const { frames, messages } of this.outgoing) {
      this.unacked -= messages;
      this.unackedBytes -= frames.length;
    }
    this.outgoing = NOTHING;
    this.filling.clear();
  }

  /** Keeps a block from growing beyond what may be written at once. */
  private separate(bytes: number): void {
    if (this.filling.count === 0) return;
    const { maxUnackedMessages, maxUnackedBytes } = this.carrier.sender.settings;
    if (
      this.filling.count < maxUnackedMessages &&
      this.filling.used + bytes <= Math.min(BLOCK_BYTES, maxUnackedBytes)
    )
      return;
    if (this.waiting === NOTHING) this.waiting = [];
    this.waiting.push(this.filling.cut());
    this.write(false);
  }

  /** Once all that runs now has run, and before anything else does; in the async context of whoever sends. */
  private writeAtEndOfTurn(): void {
    this.due = true;
    process.nextTick(endTurn, this);
  }

  turnEnded(): void {
    this.due = false;
    this.write(false);
  }

  private fits(bytes: number, messages: number): boolean {
    if (this.unacked === 0) return true;
    const { maxUnackedMessages, maxUnackedBytes } = this.carrier.sender.settings;
    return this.unacked + messages <= maxUnackedMessages && this.unackedBytes + bytes <= maxUnackedBytes;
  }

  private send(frames: Buffer, messages: number): void {
    this.unacked += messages;
    this.unackedBytes += frames.length;
    if (this.outgoing.length === 0 && this.given < GIVEN_BYTES && frames.length <= PIECE_BYTES)
      return this.give(frames, messages);
    if (this.outgoing === NOTHING) this.outgoing = [];
    this.outgoing.push({ frames, messages });
    this.feed();
  }

  /** Gives HTTP/2 what it may have now, large messages in pieces. */
  private feed(): void {
    while (this.outgoing.length > 0 && this.given < GIVEN_BYTES) {
      const { frames, messages } = this.outgoing[0] as Block;
      if (frames.length <= PIECE_BYTES) {
        this.outgoing.shift();
        this.give(frames, messages);
      } else {
        this.outgoing[0] = { frames: frames.subarray(PIECE_BYTES), messages };
        this.give(frames.subarray(0, PIECE_BYTES), 0);
      }
    }
  }

  private wasTaken(bytes: number, messages: number): void {
    this.given -= bytes;
    this.unacked -= messages;
    this.unackedBytes -= bytes;
    this.takenAt = performance.now();
    this.outlet.sent(messages);
    this.feed();
    this.write(false);
    if (this.idle || this.room) this.carrier.progressed();
  }

  /** Makes one write, which completes so many messages. */
  private give(bytes: Buffer, messages: number): void {
    const { outlet, carrier } = this;
    if (outlet.ended) {
      this.close();
      return carrier.givenUp();
    }
    const size = bytes.length;
    this.given += size;
    const taken = (error?: Error | null) => {
      if (!error) this.wasTaken(size, messages);
    };
    try {
      outlet.write(bytes, taken);
    } catch (error) {
      this.close();
      carrier.sender.wireFailed(outcomeOf(error));
    }
  }
}

/** HTTP/2 is given no more while it has not taken this much: of several writes it tells only that all were taken. */
const GIVEN_BYTES = 65_536;

/** A larger block is given in pieces: of one write HTTP/2 does not tell how much it has taken. */
const PIECE_BYTES = 32_768;

/** Most calls have nothing waiting: they share this. */
const NOTHING: Block[] = [];

/** What goes by itself waits in no block. */
const NEVER_FILLED: Filling = new Filling();

function endTurn(delivery: FrameDelivery): void {
  delivery.turnEnded();
}
