/**
 * A deep copy of a message, whatever a generator made: classes stay what they are, and what is referred to twice is
 * copied once. What it is not safe to copy by its fields (functions, class instances with private ones) is kept.
 */
export function copyOf<T>(message: T): T {
  return copy(message, new Map()) as T;
}

function copy(value: unknown, copies: Map<object, unknown>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const known = copies.get(value);
  if (known !== undefined) return known;
  const made = madeLike(value);
  copies.set(value, made);
  if (made === value) return made;
  if (made instanceof Map)
    for (const [key, item] of value as Map<unknown, unknown>) made.set(copy(key, copies), copy(item, copies));
  else if (made instanceof Set) for (const item of value as Set<unknown>) made.add(copy(item, copies));
  if (ArrayBuffer.isView(made) || made instanceof Date) return made;
  for (const key of Reflect.ownKeys(value)) {
    const field = Object.getOwnPropertyDescriptor(value, key) as PropertyDescriptor;
    if ('value' in field) field.value = copy(field.value, copies);
    if (key !== 'length' || !Array.isArray(made)) Object.defineProperty(made, key, field);
  }
  return made;
}

/** An empty one of its kind, or its bytes; itself where that cannot be made. */
function madeLike(value: object): object {
  if (Array.isArray(value)) return new Array(value.length);
  if (Buffer.isBuffer(value)) return Buffer.from(value);
  if (ArrayBuffer.isView(value)) return value instanceof DataView ? value : (value as Uint8Array).slice();
  if (value instanceof Map) return new Map();
  if (value instanceof Set) return new Set();
  if (value instanceof Date) return new Date(value);
  if (value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet) return value;
  return Object.create(Object.getPrototypeOf(value));
}
