/** The last so many values, to ask whether one of them came before. */
export class Recent<T> {
  private readonly known = new Set<T>();
  private readonly order: T[] = [];
  private oldest = 0;

  constructor(private readonly capacity: number) {}

  has(value: T): boolean {
    return this.known.has(value);
  }

  add(value: T): void {
    if (this.order.length < this.capacity) this.order.push(value);
    else {
      this.known.delete(this.order[this.oldest] as T);
      this.order[this.oldest] = value;
      this.oldest = (this.oldest + 1) % this.capacity;
    }
    this.known.add(value);
  }

  /** Forgets a value; `false` when it is not known. */
  delete(value: T): boolean {
    return this.known.delete(value);
  }
}
