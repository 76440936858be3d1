/** A push queue that is its own iterator: what is pushed while somebody waits is handed over at once. */
export class Queue<T> implements AsyncIterableIterator<T> {
  #pushed: T[] = [];
  #closed = false;
  #wake: ((step: IteratorResult<T>) => void) | undefined;

  constructor(private readonly left: () => void) {}

  push(value: T): void {
    if (this.#wake === undefined) this.#pushed.push(value);
    else this.#settle({ done: false, value });
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#pushed.length > 0) return Promise.resolve({ done: false, value: this.#pushed.shift() as T });
    if (this.#closed) return Promise.resolve({ done: true, value: undefined });
    return new Promise(resolve => {
      this.#wake = resolve;
    });
  }

  return(): Promise<IteratorResult<T>> {
    this.#closed = true;
    this.left();
    this.#settle({ done: true, value: undefined });
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #settle(step: IteratorResult<T>): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.(step);
  }
}
