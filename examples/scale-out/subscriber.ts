import { Metadata } from '@grpc/grpc-js';
import { subscribe } from 'leat/client';
import type { streamservice } from '../protos.ts';

type Client = InstanceType<typeof streamservice.StreamService>;

/** What is promised to who watches a feed, as etcd checks it; each is counted when it is broken. */
export class Broken {
  /** A number that is not above the one before. */
  ordered = 0;
  /** A number that came before. */
  unique = 0;
  /** A number that others saw, between two that this one saw. */
  reliable = 0;
  /** The first one after a resume is not the next one. */
  resumable = 0;
  /** What came after a token, and is not beyond it. */
  bookmarkable = 0;
  /** An update that is not as it was published. */
  atomic = 0;
  /** OUT_OF_RANGE, though everything is still there. */
  outOfRange = 0;

  get total(): number {
    return Object.values(this).reduce((sum: number, count: number) => sum + count, 0);
  }
}

/** One who watches for ever: at the next server with each attempt, after the last update it took. */
export class Subscriber {
  last = 0;
  count = 0;
  resumes = 0;
  /** The server of the attempt, by its index. */
  server = 0;
  worstGapMs = 0;
  private lastAt = performance.now();
  private readonly controller = new AbortController();
  private resumed = false;

  constructor(
    private readonly clients: readonly Client[],
    private next: number,
    private readonly broken: Broken,
  ) {}

  /** Resolves when it is left, or the subscription ended with an error. */
  async run(): Promise<void> {
    const metadata = new Metadata();
    metadata.set('overflow', 'error');
    const stream = subscribe(
      (request: object, sent: Metadata, options: object) => {
        this.server = this.next++ % this.clients.length;
        return (this.clients[this.server] as Client).subscribeToUpdates(request, sent, options);
      },
      { topics: ['orders'] },
      {
        metadata,
        signal: this.controller.signal,
        token: ({ sequence }) => (sequence === '0' ? undefined : sequence),
        bookmark: ({ topic }) => topic === '',
        backoff: { baseMs: 50, maxMs: 500 },
        maxFruitless: 1000,
        stallMs: 5000,
        onAttempt: ({ number }) => {
          this.resumed = number > 1;
          this.resumes += this.resumed ? 1 : 0;
        },
        onResumeLost: () => {
          this.broken.outOfRange += 1;
          return undefined;
        },
      },
    );
    try {
      for await (const { sequence, message, metadata } of stream)
        this.take(Number(sequence), message, metadata);
    } catch (error) {
      if (!this.controller.signal.aborted) throw error;
    }
  }

  private take(sequence: number, message: string, metadata: Record<string, string>): void {
    const { broken, last } = this;
    const now = performance.now();
    this.worstGapMs = Math.max(this.worstGapMs, now - this.lastAt);
    this.lastAt = now;
    this.count += 1;
    if (message !== metadata.number) broken.atomic += 1;
    if (last !== 0) {
      if (sequence === last) broken.unique += 1;
      else if (sequence < last) broken.ordered += 1;
      else if (sequence > last + 1) broken.reliable += sequence - last - 1;
      if (this.resumed && sequence !== last + 1) broken.resumable += 1;
      if (this.resumed && sequence <= last) broken.bookmarkable += 1;
    }
    this.resumed = false;
    this.last = sequence;
  }

  /** The longest time without an update since it was asked last, in milliseconds. */
  silence(): number {
    const worst = Math.max(this.worstGapMs, performance.now() - this.lastAt);
    this.worstGapMs = 0;
    return worst;
  }

  leave(): void {
    this.controller.abort();
  }
}
