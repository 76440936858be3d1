/** Names of 0.1, which say what they are now. They go with 0.2.0. */

function renamed(before: string, now: string): never {
  throw new TypeError(`\`${before}\` is \`${now}\` now`);
}

/** @deprecated It is `compose`. */
export function all(..._: unknown[]): never {
  return renamed('all()', 'compose()');
}

/** @deprecated It is `configure`. */
export function options(..._: unknown[]): never {
  return renamed('options()', 'configure()');
}
