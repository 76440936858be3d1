/**
 * First in, first out, at a constant cost: items gather in one array while the other is read, and the two are
 * swapped when that one is empty.
 */
export class Fifo<T> {
  private incoming: T[] = [];
  private outgoing: (T | undefined)[] = [];
  private head = 0;

  get size(): number {
    return this.incoming.length + this.outgoing.length - this.head;
  }

  push(item: T): void {
    this.incoming.push(item);
  }

  /** The oldest item; only asked when there is one. */
  shift(): T {
    if (this.head === this.outgoing.length) {
      // One at a time goes in and out all the time: that needs no new array.
      if (this.incoming.length === 1) return this.incoming.pop() as T;
      this.outgoing = this.incoming;
      this.incoming = [];
      this.head = 0;
    }
    const item = this.outgoing[this.head];
    this.outgoing[this.head++] = undefined;
    return item as T;
  }

  clear(): void {
    this.incoming = [];
    this.outgoing = [];
    this.head = 0;
  }
}
