import { Metadata } from '@grpc/grpc-js';
import { subscribe } from 'leat/client';
import type { streamservice } from '../protos.ts';
import { type Broken, Witness } from './oracle.ts';

type Client = InstanceType<typeof streamservice.StreamService>;

/** One who watches for ever: at the next server with each attempt, after the last update it took. */
export class Subscriber {
  readonly witness: Witness;
  resumes = 0;
  /** The server of the attempt, by its index. */
  server = 0;
  worstGapMs = 0;
  private lastAt = performance.now();
  private readonly controller = new AbortController();

  constructor(
    private readonly clients: readonly Client[],
    private next: number,
    readonly topic: string,
    private readonly broken: Broken,
  ) {
    this.witness = new Witness(broken);
  }

  /** Resolves when it is left, or the subscription ended with an error. */
  async run(): Promise<void> {
    const metadata = new Metadata();
    metadata.set('overflow', 'error');
    const stream = subscribe(
      (request: object, sent: Metadata, options: object) => {
        this.server = this.next++ % this.clients.length;
        return (this.clients[this.server] as Client).subscribeToUpdates(request, sent, options);
      },
      { topics: [this.topic] },
      {
        metadata,
        signal: this.controller.signal,
        token: ({ sequence }) => (sequence === '0' ? undefined : sequence),
        bookmark: ({ topic }) => topic === '',
        backoff: { baseMs: 50, maxMs: 500 },
        maxFruitless: 1000,
        stallMs: 5000,
        onAttempt: ({ number }) => {
          if (number === 1) return;
          this.resumes += 1;
          this.witness.resumed();
        },
        onResumeLost: () => {
          this.broken.outOfRange += 1;
          return undefined;
        },
      },
    );
    try {
      for await (const { sequence, topic, message, metadata } of stream) {
        this.arrived();
        this.witness.take(Number(sequence), topic === this.topic && message === metadata.number);
      }
    } catch (error) {
      if (!this.controller.signal.aborted) throw error;
    }
  }

  private arrived(): void {
    const now = performance.now();
    this.worstGapMs = Math.max(this.worstGapMs, now - this.lastAt);
    this.lastAt = now;
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
