/** First in, first out, of which only the newest item of a key is kept, at the place where it came. */
export class Latest<T> {
  private readonly items = new Map<unknown, T>();
  /** Kept from one `shift` to the next: a new one would pass over all that was removed before. */
  private oldest: MapIterator<unknown> | undefined;

  get size(): number {
    return this.items.size;
  }

  push(item: T, key: unknown): void {
    this.items.set(key, item);
  }

  /** Puts an item in place of the one with its key; `false` when there is none. */
  replace(key: unknown, item: T): boolean {
    if (!this.items.delete(key)) return false;
    this.items.set(key, item);
    return true;
  }

  /** The oldest item; only asked when there is one. */
  shift(): T {
    let step = this.oldest?.next();
    if (step === undefined || step.done) {
      this.oldest = this.items.keys();
      step = this.oldest.next();
    }
    const key = step.value;
    const item = this.items.get(key) as T;
    this.items.delete(key);
    return item;
  }

  clear(): void {
    this.items.clear();
  }
}
