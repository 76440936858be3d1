import { checkString, expected } from './check.ts';

/** Names a value that layers hand on, and has its type. */
export interface Key<T> {
  /** What error messages call it. */
  readonly name: string;
  /** @internal It is never there: only types look at it. */
  readonly type?: T;
}

/**
 * Makes a key for `call.values`. It is itself that counts, not its name: two keys of one name are two keys.
 *
 * @example
 * export const user = key<User>('user');
 * const auth: Middleware = async call => {
 *   call.values.set(user, await userOf(call.metadata));
 * };
 * @throws TypeError when the name is not a string.
 */
export function key<T>(name: string): Key<T> {
  checkString('name', name);
  return Object.freeze({ name });
}

/** What is known of one RPC, by typed keys. */
export class Values {
  private readonly known = new Map<Key<unknown>, unknown>();

  /**
   * The value of a key.
   * @throws TypeError when nobody has set it.
   */
  get<T>(key: Key<T>): T {
    if (!this.known.has(checked(key)))
      throw new TypeError(`Expected the value of \`${key.name}\` to be set by a middleware of this call`);
    return this.known.get(key) as T;
  }

  /** Whether somebody has set the value of a key. */
  has(key: Key<unknown>): boolean {
    return this.known.has(checked(key));
  }

  /** Sets a value, or replaces it. */
  set<T>(key: Key<T>, value: T): void {
    this.known.set(checked(key), value);
  }
}

function checked<K extends Key<unknown>>(key: K): K {
  if (typeof key === 'object' && typeof key?.name === 'string') return key;
  throw expected('key', 'what `key()` made', key);
}
