import type { ConsumerInfo, JsMsg, StreamInfo } from '@nats-io/jetstream';
import { broadcastAnew } from '../wire/broadcast.ts';
import type { Nats } from './nats.ts';
import { fitting } from './sizes.ts';
import { StoredMessage } from './stored.ts';

/** A message that was read: its item, or why it has none; neither when it is to be left out. */
export interface Entry<T> {
  readonly sequence: number;
  readonly item?: T;
  readonly error?: unknown;
}

/** Messages that follow each other in the stream. */
export interface Page<T> {
  readonly after: number;
  readonly entries: readonly Entry<T>[];
  /** Whether that was all there is, when it was read for who asks now. */
  readonly all: boolean;
  /** How large its messages are together. */
  readonly bytes: number;
}

/** How many bytes are read at once for those who come back, and how many messages at most. */
const PAGE_BYTES = 1 << 20;
const MAX_ITEMS = 2000;
/**
 * How many bytes, and how many pages, are kept for those who come to them a little later: as far as they lie apart, so
 * that those who are behind together do not each read for themselves.
 */
const KEPT_BYTES = 8 * PAGE_BYTES;
const KEPT_PAGES = 32;
/** For how long the state of the stream holds that shows that there is nothing wrong, in milliseconds. */
const INFO_MS = 100;

/**
 * What is stored, page by page, for those who come back: each page through a consumer of its own, that is gone
 * when the page is read. A client that reads slowly keeps no consumer, and only so many pages are read at once.
 * Those who lost their server come back together, from almost the same place: one reads the page for all.
 */
export class Pages<T> {
  private kept: Page<T>[] = [];
  private readonly coming: Map<number, Promise<unknown>> = new Map();
  private reading = 0;
  /** How many messages a page may have, as large as they are. */
  private items: number;
  private readonly waiting: (() => void)[] = [];
  private known: { readonly info: StreamInfo; readonly at: number } | undefined;

  constructor(
    private readonly nats: Nats,
    private readonly max: number,
    private readonly entryOf: (message: JsMsg, stored: StoredMessage) => Entry<T>,
    { state }: StreamInfo,
  ) {
    this.items = fitting(PAGE_BYTES, MAX_ITEMS, state);
  }

  /** The stream as it is now, or was a moment ago if that is `enough`. */
  async info(enough: (info: StreamInfo) => boolean = () => false): Promise<StreamInfo> {
    const { known } = this;
    if (known && performance.now() - known.at < INFO_MS && enough(known.info)) return known.info;
    const at = performance.now();
    const info = await this.nats.answer(this.nats.jsm.streams.info(this.nats.stream));
    this.known = { info, at };
    return info;
  }

  /** When a message was stored; nothing when it is not there any more. */
  async timeOf(sequence: number): Promise<number | undefined> {
    const { jsm, stream } = this.nats;
    const message = await this.nats.answer(jsm.streams.getMessage(stream, { seq: sequence }));
    return message?.time.getTime();
  }

  /** The page that a message after a number is on, and possibly what is before. */
  async read(after: number): Promise<Page<T>> {
    for (;;) {
      const page = this.keptFor(after);
      if (page) return page;
      const coming = this.comingFor(after);
      if (coming === undefined) break;
      await coming.catch(() => {});
    }
    const reading = this.readAnew(after);
    this.coming.set(after, reading);
    try {
      return await reading;
    } finally {
      this.coming.delete(after);
    }
  }

  /** Nobody comes back just now. */
  clear(): void {
    this.kept = [];
    this.known = undefined;
  }

  private keptFor(after: number): Page<T> | undefined {
    const page = this.kept.find(
      ({ after: begin, entries }) => begin <= after && (entries.at(-1)?.sequence ?? 0) > after,
    );
    // More may have been stored since.
    return page && { ...page, all: false };
  }

  private keep(page: Page<T>): void {
    this.kept.push(page);
    let bytes = this.kept.reduce((sum, { bytes }) => sum + bytes, 0);
    while (bytes > KEPT_BYTES || this.kept.length > KEPT_PAGES) bytes -= this.kept.shift()?.bytes ?? bytes;
  }

  private comingFor(after: number): Promise<unknown> | undefined {
    for (const [begin, page] of this.coming)
      if (begin <= after && after < begin + this.items / 2) return page;
    return undefined;
  }

  private async readAnew(after: number): Promise<Page<T>> {
    if (this.reading >= this.max) await new Promise<void>(go => this.waiting.push(go));
    else this.reading += 1;
    let consumer: ConsumerInfo | undefined;
    try {
      const page = this.keptFor(after);
      if (page) return page;
      const making = this.nats.consumer(after);
      consumer = await this.nats.answer(making).catch(error => this.nats.abandon(making, error));
      const read = await this.page(after, consumer);
      if (read.entries.length > 0) this.keep(read);
      return read;
    } finally {
      // The page is there; its place is free once its consumer is gone.
      void this.leave(consumer);
    }
  }

  private async page(after: number, consumer: ConsumerInfo): Promise<Page<T>> {
    const entries: Entry<T>[] = [];
    let pending = consumer.num_pending;
    if (pending === 0) return { after, entries, all: true, bytes: 0 };
    const max_messages = Math.min(this.items, pending);
    const messages = await this.nats.reading(consumer).fetch({ max_messages, expires: 5000 });
    let over = false;
    let bytes = 0;
    const reading = (async () => {
      for await (const message of messages) {
        const stored = new StoredMessage(message);
        // One was lost on the way here: what came before it is good.
        if (over || stored.delivery !== entries.length + 1) return;
        pending = stored.pending;
        bytes += stored.data.length;
        const entry = this.entryOf(message, stored);
        // Encoded once for all who read it.
        if (typeof entry.item === 'object' && entry.item !== null) broadcastAnew(entry.item);
        entries.push(entry);
        if (pending === 0 || bytes > PAGE_BYTES) return;
      }
    })();
    try {
      await this.nats.answer(reading);
    } catch (error) {
      // NATS gives up a connection on which more waits than it likes.
      this.items = Math.ceil(this.items / 4);
      throw error;
    } finally {
      over = true;
      messages.stop();
    }
    // No more than as many as others that might follow are large.
    const most = this.known ? fitting(8 * PAGE_BYTES, MAX_ITEMS, this.known.info.state) : this.items;
    this.items = fitting(PAGE_BYTES, most, { bytes, messages: entries.length });
    return { after, entries, all: pending === 0, bytes };
  }

  /** Hands the place over, so that nobody else takes it in between. */
  private async leave(consumer: ConsumerInfo | undefined): Promise<void> {
    if (consumer) await this.nats.forget(consumer);
    const next = this.waiting.shift();
    if (next) next();
    else this.reading -= 1;
  }
}
