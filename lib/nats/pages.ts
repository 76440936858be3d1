import type { ConsumerInfo, JsMsg, StreamInfo } from '@nats-io/jetstream';
import type { Nats } from './nats.ts';

/** How many messages are read at once for one who comes back, and how many bytes. */
const PAGE_ITEMS = 500;
const PAGE_BYTES = 1 << 20;

/**
 * What is stored, page by page, for those who come back: each page through a consumer of its own, that is gone
 * when the page is read. A client that reads slowly keeps no consumer, and only so many pages are read at once.
 */
export class Pages {
  /** Pages that are read at this moment. */
  reading = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(
    private readonly nats: Nats,
    private readonly max: number,
  ) {}

  /** The stream as it is now. */
  info(): Promise<StreamInfo> {
    return this.nats.answer(this.nats.jsm.streams.info(this.nats.stream));
  }

  /** When a message was stored; nothing when it is not there any more. */
  async timeOf(sequence: number): Promise<number | undefined> {
    const { jsm, stream } = this.nats;
    const message = await this.nats.answer(jsm.streams.getMessage(stream, { seq: sequence }));
    return message?.time.getTime();
  }

  /**
   * Gives what was stored after a number to `take`, until that answers `false`.
   *
   * @returns whether that was all there is.
   */
  async read(after: number, take: (message: JsMsg) => boolean): Promise<boolean> {
    await this.enter();
    let consumer: ConsumerInfo | undefined;
    try {
      consumer = await this.nats.answer(this.nats.consumer(after));
      return await this.page(consumer, take);
    } finally {
      // The page is there; its place is free once its consumer is gone.
      void this.leave(consumer);
    }
  }

  private async page(consumer: ConsumerInfo, take: (message: JsMsg) => boolean): Promise<boolean> {
    let pending = consumer.num_pending;
    if (pending === 0) return true;
    const max_messages = Math.min(PAGE_ITEMS, pending);
    const messages = await this.nats.reading(consumer).fetch({ max_messages, expires: 5000 });
    let over = false;
    const reading = (async () => {
      let next = 1;
      let bytes = 0;
      for await (const message of messages) {
        // One was lost on the way here: what came before it is good.
        if (over || message.info.deliverySequence !== next++) return false;
        pending = message.info.pending;
        bytes += message.data.length;
        if (!take(message) || pending === 0 || bytes > PAGE_BYTES) break;
      }
      return pending === 0;
    })();
    return this.nats.answer(reading).finally(() => {
      over = true;
      messages.stop();
    });
  }

  private async enter(): Promise<void> {
    if (this.reading >= this.max) await new Promise<void>(go => this.waiting.push(go));
    else this.reading += 1;
  }

  /** Hands the place over, so that nobody else takes it in between. */
  private async leave(consumer: ConsumerInfo | undefined): Promise<void> {
    if (consumer) await this.nats.forget(consumer);
    const next = this.waiting.shift();
    if (next) next();
    else this.reading -= 1;
  }
}
