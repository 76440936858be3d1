import type { Tally } from '../stats.ts';
import { outcomeOf } from '../status/status.ts';
import { MAX_AT_ONCE, turn } from '../streams/turns.ts';
import type { Layer, Outcome } from '../types.ts';

/** The call whose messages wait. */
export interface Waiting {
  readonly wire: { readonly room: boolean };
  readonly open: boolean;
  readonly counted: Tally | undefined;
  /** All its layers as one. */
  readonly layer: Layer<unknown>;
  end(outcome: Outcome): void;
}

/** Where the messages of a call wait: for room, for everything to be taken, or for a layer. */
export class Gate {
  /** Messages asked for since the window was last full. */
  private atOnce = 0;
  private parking: Promise<void> | undefined;
  private wake: (() => void) | undefined;
  /** A layer holds the next message. */
  private held = false;
  /** The layer has let that message through, when its promise settled. */
  private granted = false;

  constructor(private readonly call: Waiting) {}

  /** Asks the window, and the layers, whether another message may be pulled; a promise says later. */
  admit(): void | Promise<void> {
    const { call } = this;
    if (!call.wire.room) {
      this.atOnce = 0;
      return this.stalled();
    }
    // Layers that hold or drop messages leave the window open: timers, and other calls, need their turn.
    if (++this.atOnce === MAX_AT_ONCE) {
      this.atOnce = 0;
      return turn();
    }
    if (call.layer.ready) return this.ask(call.layer as Required<Layer<unknown>>);
  }

  /** Resolves when the wire has something to say, or the call ends. */
  async stalled(): Promise<void> {
    this.call.counted?.wait('flow_control', performance.now());
    await this.parked();
    if (this.call.open) this.call.counted?.wait('source', performance.now());
  }

  private ask(layer: Pick<Required<Layer<unknown>>, 'ready'>): void | Promise<void> {
    if (this.granted) {
      this.granted = false;
      return;
    }
    try {
      const hold = layer.ready();
      if (hold === undefined) return;
      this.held = true;
      this.call.counted?.wait('layer', performance.now());
      hold.then(
        () => {
          this.granted = true;
          if (this.call.open) this.call.counted?.wait('source', performance.now());
          this.open();
        },
        error => this.call.end(outcomeOf(error)),
      );
    } catch (error) {
      this.call.end(outcomeOf(error));
      return Promise.resolve();
    }
    return this.parked();
  }

  /** The wire has room. */
  woken(): void {
    if (!this.held) this.open();
  }

  /** Lets go of all who wait. */
  open(): void {
    const { wake } = this;
    this.held = false;
    this.parking = undefined;
    this.wake = undefined;
    wake?.();
  }

  /** One promise for all that wait: a handler might have several messages on their way. */
  private parked(): Promise<void> {
    this.parking ??= new Promise(resolve => {
      this.wake = resolve;
    });
    return this.parking;
  }
}
