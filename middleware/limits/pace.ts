import { after, type Timer } from '../../lib/timers.ts';
import type { Call } from '../../lib/types.ts';

/** How much of a second a stream may send at once after it has sent less than it might. */
const BURST_MS = 50;

/** Holds the next pull until what was sent before is paid for. */
export class Pace {
  private timer: Timer | undefined;
  private readonly messages: Budget;
  private readonly bytes: Budget;

  constructor(
    private readonly stats: Call['stats'],
    messagesPerSecond: number = Infinity,
    bytesPerSecond: number = Infinity,
  ) {
    this.messages = new Budget(messagesPerSecond);
    this.bytes = new Budget(bytesPerSecond);
  }

  ready(): void | Promise<void> {
    const { messages, bytes } = this.stats;
    const now = performance.now();
    const debtMs = Math.max(this.messages.debt(messages, now), this.bytes.debt(bytes ?? 0, now));
    if (debtMs <= 0) return;
    return new Promise(resolve => {
      this.timer = after(debtMs, resolve).unref();
    });
  }

  stop(): void {
    this.timer?.stop();
  }
}

class Budget {
  private used = 0;
  private paidAt = -Infinity;

  constructor(private readonly perSecond: number) {}

  /** For how many milliseconds nothing more may be sent, when so much was sent in all. */
  debt(total: number, now: number): number {
    const priceMs = (Math.max(0, total - this.used) / this.perSecond) * 1000;
    this.used = total;
    this.paidAt = Math.max(this.paidAt, now - BURST_MS) + priceMs;
    return this.paidAt - now;
  }
}
