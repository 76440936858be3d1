interface Encoding {
  serialize?: unknown;
  bytes?: Buffer;
  /** The message never changes. */
  readonly lasting: boolean;
}

const encodings = new WeakMap<object, Encoding>();
/** Whether there ever was one: a look at the map costs each message some nanoseconds. */
let marked = false;

/**
 * Marks a message that goes to many calls: `mount` encodes it once for all of them. It must not change any more.
 *
 * @example
 * const update = broadcast({ topic: 'orders', message: 'shipped' });
 * for (const subscriber of subscribers) subscriber.push(update);
 */
export function broadcast<T extends object>(message: T): T {
  mark(message, true);
  return message;
}

/** For a message that goes to many calls now, and may go again after it was changed, unless `broadcast` marked it. */
export function broadcastAnew(message: object): void {
  mark(message, false);
}

function mark(message: object, lasting: boolean): void {
  marked = true;
  if (!encodings.get(message)?.lasting) encodings.set(message, { lasting });
}

/** Encodes a message, or takes the bytes from the last call that did. */
export function encode(message: unknown, serialize: (message: unknown) => Buffer): Buffer {
  const shared = marked ? encodings.get(message as object) : undefined;
  if (shared === undefined) return serialize(message);
  if (shared.bytes === undefined || shared.serialize !== serialize) {
    shared.bytes = serialize(message);
    shared.serialize = serialize;
  }
  return shared.bytes;
}
