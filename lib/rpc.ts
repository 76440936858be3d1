import type { Call } from './types.ts';

const done = new WeakMap<object, WeakSet<object>>();

/**
 * Whether this is the first time that a layer of this RPC asks with this key, on whichever mount it stands: what
 * stands on several does its work once. The outermost asks first when it is made, the innermost when the call ends.
 */
export function once(call: Call, key: object): boolean {
  const keys = done.get(call.metadata) ?? new WeakSet();
  if (keys.has(key)) return false;
  done.set(call.metadata, keys.add(key));
  return true;
}
