import { expected } from '../../check.ts';

/** Where in JSON its reader is. A list may have millions of places: one is written out when something does not fit. */
export class Place {
  private readonly names: (string | number)[] = [];

  enter(name: string | number): void {
    this.names.push(name);
  }

  /** Goes to the next in a list, or the next key of an object. */
  turn(name: string | number): void {
    this.names[this.names.length - 1] = name;
  }

  leave(): void {
    this.names.pop();
  }

  /** Empty for the whole; names are as somebody sent them. */
  get path(): string {
    let path = '';
    for (const name of this.names)
      path += typeof name === 'number' ? `[${name}]` : `${path === '' ? '' : '.'}${name.slice(0, 200)}`;
    return path.slice(0, 200);
  }

  /** What to throw for what is here, a value as somebody sent it. */
  unfit(what: string, json: unknown): TypeError {
    return expected(this.path || 'the request', what, typeof json === 'string' ? json.slice(0, 100) : json);
  }
}
