import { type Metadata, status } from '@grpc/grpc-js';
import type { ServerCall } from '../call/call.ts';
import { counts } from '../counters.ts';
import { answersOnce } from '../kinds.ts';
import { isLeftOut } from '../stats.ts';
import { sendableHeader } from '../status/metadata.ts';
import type { Outcome } from '../types.ts';

/** Takes what an existing handler sends through the layers of its call; what comes too late is absorbed. */
export class Relay {
  /** The handler gave its status. */
  ended = false;
  /** It gave the one message that its kind of method has. */
  private answered = false;

  constructor(private readonly call: ServerCall) {}

  /** Whether the handler can still say something. */
  get open(): boolean {
    return !this.ended && this.call.open;
  }

  header(metadata: Metadata): void {
    if (!this.open) return;
    if (!this.call.headerSent) this.call.header.merge(sendableHeader(metadata));
    this.call.sendHeader();
  }

  /** `ack` is called when the handler may send the next message, which is long before this one was sent. */
  message(message: unknown, ack: () => void): void {
    if (!this.open) {
      counts.lateMessages += 1;
      return;
    }
    if (this.answered) {
      this.call.surplus();
      // Its status waits for that.
      return ack();
    }
    this.answered = answersOnce(this.call);
    const { counted, messages } = this.call;
    if (counted && isLeftOut(message)) counted.uncounted(() => messages.message(message));
    else messages.message(message);
    if (!this.call.open) return;
    // An only answer has nothing behind it that could be held.
    const hold = this.answered ? undefined : this.call.gate.admit();
    if (hold === undefined) ack();
    else void this.later(hold, ack);
  }

  belongsTo(server: object): boolean {
    return this.call.wire.belongsTo(server);
  }

  /** The status the handler ends with; `sent` is called when everything before it was taken. */
  async status(outcome: Outcome, sent?: () => void): Promise<void> {
    if (!this.open) {
      counts.lateEnds += 1;
      return;
    }
    this.ended = true;
    await this.call.handlerAnswered(outcome, sent);
  }

  private async later(hold: Promise<void>, ack: () => void): Promise<void> {
    let wait: void | Promise<void> = hold;
    while (wait !== undefined) {
      await wait;
      if (!this.call.open) return;
      wait = this.call.gate.admit();
    }
    ack();
  }
}

/** A clean end with the trailers of the handler. */
export function completed(metadata: Metadata | undefined): Outcome {
  return { code: status.OK, details: 'OK', reason: 'completed', metadata };
}
