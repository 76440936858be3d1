import { errorOf } from '../status/status.ts';
import type { Guest } from '../streams/hand-over.ts';
import type { Outcome } from '../types.ts';

/** The call of a method that may be told of its end. */
export interface Told {
  /** How it ended, or will as soon as its layers are made. */
  readonly known: Outcome | undefined;
  /** Its method came to its own end: the signal does not abort any more. */
  readonly finished: boolean;
}

/** How a method hears that its call is to end, or has ended: by its signal. */
export class Notice {
  /** How the call will end, for one that may still finish in its own way. */
  announced: Outcome | undefined;
  private controller: AbortController | undefined;
  /** Whoever may be the method has looked at the signal. */
  private looked = false;
  /** The stream that the method returned, when that can be told what its signal would say. */
  private guest: Pick<Guest, 'abort'> | undefined;

  constructor(private readonly call: Told) {}

  get signal(): AbortSignal {
    this.looked = true;
    if (this.controller === undefined) {
      this.controller = new AbortController();
      const outcome = this.call.known ?? this.announced;
      if (outcome) this.give(outcome);
    }
    return this.controller.signal;
  }

  /** What was announced to a method that could hear it: not all that it had to say was said. */
  get heard(): Outcome | undefined {
    return this.looked ? this.announced : undefined;
  }

  /** The method starts: who looked at the signal until now was a layer, which has not heard it for the method. */
  begin(): void {
    this.looked = false;
  }

  give(outcome: Outcome): void {
    if (!this.call.finished) this.controller?.abort(errorOf(outcome));
  }

  announce(outcome: Outcome): void {
    this.announced = outcome;
    this.give(outcome);
    // Only now is a signal worth its price.
    if (this.guest) this.guest.abort(this.signal.reason);
  }

  /** Has a stream that the method returned hear of an announcement, as it would by the signal. */
  announceTo(guest: Pick<Guest, 'abort'>): void {
    this.guest = guest;
    if (this.announced) guest.abort(this.signal.reason);
  }

  /** Whether this is what waiting code throws when the call is over: the answer to the signal, not a failure. */
  isAbort(error: unknown): boolean {
    const reason = this.controller?.signal.reason;
    try {
      const { name, code, cause } = error as NodeJS.ErrnoException & { cause?: unknown };
      if (name === 'AbortError' || code === 'ERR_STREAM_PREMATURE_CLOSE') return true;
      return reason !== undefined && (error === reason || cause === reason);
    } catch {
      return false;
    }
  }
}
