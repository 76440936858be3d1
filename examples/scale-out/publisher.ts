import type { UpdateTopic } from '../update-topic.ts';

/** What is published, of several topics in turn, and by which number each is stored: with that its readers are judged. */
export class Publisher {
  stored = 0;
  /** Given up, and published again with the same id. */
  again = 0;
  private sent = 0;
  private readonly sequences: Map<string, number[]>;

  constructor(
    private readonly feed: UpdateTopic,
    private readonly topics: readonly string[],
    /** Begins the id of each update: no two runs publish the same. */
    private readonly seed: number,
  ) {
    this.sequences = new Map(topics.map(topic => [topic, []]));
  }

  /** So many updates a second until `isOver`; resolves when all are stored. */
  async run(rate: number, isOver: () => boolean): Promise<void> {
    const started = performance.now();
    const waiting = new Set<Promise<unknown>>();
    for (let due = 0; !isOver(); ) {
      due = Math.min(due + 1000, ((performance.now() - started) / 1000) * rate);
      while (this.sent < due) {
        const sent: Promise<unknown> = this.publish(this.sent++).then(() => waiting.delete(sent));
        waiting.add(sent);
        if (waiting.size > 256) await Promise.race(waiting);
      }
      await new Promise(go => setTimeout(go, 5));
    }
    await Promise.all(waiting);
  }

  /** Until it is acknowledged: nobody knows whether what was not is stored, and its id makes it be stored once. */
  private async publish(index: number): Promise<void> {
    const topic = this.topics[index % this.topics.length] as string;
    const number = String(index + 1);
    for (;;) {
      const update = { topic, message: number, metadata: { number } };
      const sequence = (await this.feed.publish(update, `${this.seed}-${number}`)) as number | undefined;
      if (sequence !== undefined) {
        this.stored += 1;
        this.sequences.get(topic)?.push(sequence);
        return;
      }
      this.again += 1;
      await new Promise(go => setTimeout(go, 100));
    }
  }

  /** The numbers by which what it published of a topic is stored, in order. Its last one, so far, is the last. */
  storedOf(topic: string): number[] {
    return [...(this.sequences.get(topic) ?? [])].sort((one, other) => one - other);
  }
}
