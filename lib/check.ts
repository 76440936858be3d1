import type { Metadata } from '@grpc/grpc-js';
import { isInterceptor, isMaker } from './made.ts';
import { nearest } from './nearest.ts';
import { MAX_TIMER_MS } from './timers.ts';

/** Shows a value the way error messages do: `` `-1` (number) ``. */
export function show(value: unknown): string {
  let text: string;
  try {
    text = String(
      typeof value === 'function'
        ? value.name || 'function'
        : typeof value === 'object' && value !== null
          ? kindOf(value)
          : value,
    );
  } catch {
    text = 'unprintable';
  }
  return `\`${text}\` (${typeof value})`;
}

/** The name of an object's class; what a generator function made has no class, but a tag. */
function kindOf(value: object): unknown {
  return value.constructor?.name || Reflect.get(value, Symbol.toStringTag) || 'object';
}

/** The one sentence for option misuse, and what goes on behind it. */
export function expected(name: string, what: string, value: unknown, more: string = ''): TypeError {
  return new TypeError(`Expected \`${name}\` to be ${what}, got ${show(value)}${more}`);
}

/**
 * Refuses options that are no object, or an instance that has none of their names, as a logger where `{ logger }` should
 * be; and names that nobody reads: such an option would do nothing, silently.
 * @throws TypeError that shows the nearest known name.
 */
export function checkOptions<T>(
  value: T,
  known: readonly (keyof T & string)[],
  name: string = 'options',
): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw expected(name, 'an object', value);
  // An instance of a class is more than options, as a call is, which has a `signal`; or it is something else.
  if (!isPlain(value)) {
    if (known.some(key => key in value)) return;
    throw expected(name, 'an object of options', value, `: it has ${list(known)}`);
  }
  for (const key of Object.keys(value)) {
    if ((known as readonly string[]).includes(key)) continue;
    const meant = nearest(key, known);
    const hint = meant === undefined ? `it has ${list(known)}` : `did you mean \`${meant}\`?`;
    throw new TypeError(`Expected \`${name}\` to have known names only, got \`${key}\`: ${hint}`);
  }
}

/** Whether it is an object of no class, from whatever realm: what a literal makes. */
export function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function list(names: readonly string[]): string {
  return names.map(name => `\`${name}\``).join(', ');
}

/** Knows metadata by its shape: there might be more than one copy of grpc-js. */
export function isMetadata(value: unknown): value is Metadata {
  const { clone, toJSON } = (value ?? {}) as Record<string, unknown>;
  return typeof clone === 'function' && typeof toJSON === 'function';
}

export function checkMetadata(name: string, value: unknown): void {
  if (!isMetadata(value)) throw expected(name, 'a grpc.Metadata', value);
}

export function checkFunction(name: string, value: unknown): void {
  if (typeof value !== 'function') throw expected(name, 'a function', value);
}

/** Whether it can only be called with `new`, or was made for that: of such a function, `prototype` cannot be replaced. */
export function isClass(value: unknown): value is new () => unknown {
  return (
    typeof value === 'function' && Object.getOwnPropertyDescriptor(value, 'prototype')?.writable === false
  );
}

export function checkBoolean(name: string, value: unknown): void {
  if (typeof value !== 'boolean') throw expected(name, 'a boolean', value);
}

export function checkString(name: string, value: unknown): void {
  if (typeof value !== 'string') throw expected(name, 'a string', value);
}

/** Names of metadata: what cannot be one would never be found, silently. */
export function checkNames(name: string, value: unknown): void {
  if (!Array.isArray(value) || !value.every(item => typeof item === 'string'))
    throw expected(name, 'an array of names', value);
  value.forEach((item, index) => {
    if (!/^[\w.-]+$/.test(item)) throw expected(`${name}[${index}]`, 'the name of a header or trailer', item);
  });
}

/** When something ends: a date, or milliseconds since the epoch, which `Infinity` is, too. */
export function checkDeadline(value: unknown): number {
  const ms = (value as Date | null)?.getTime?.() ?? value;
  if (typeof ms !== 'number' || Number.isNaN(ms))
    throw expected('deadline', 'a date, or milliseconds since the epoch', value);
  return ms;
}

export function checkInteger(name: string, value: unknown, from: number): void {
  if (!Number.isInteger(value) || (value as number) < from)
    throw expected(name, `an integer from ${from} and up`, value);
}

/** A duration in milliseconds that a timer can hold. */
export function checkDuration(name: string, value: unknown): void {
  if (typeof value !== 'number' || !(value >= 0) || value > MAX_TIMER_MS)
    throw expected(name, `a number of milliseconds from 0 to ${MAX_TIMER_MS}`, value);
}

export function checkMiddleware(list: readonly unknown[]): void {
  list.forEach((middleware, index) => {
    checkFunction(`middleware[${index}]`, middleware);
    if (isMaker(middleware))
      throw new TypeError(
        `Expected \`middleware[${index}]\` to be a middleware, got \`${middleware.name}\` itself, which makes one: call it, \`${middleware.name}()\``,
      );
    if (isInterceptor(middleware))
      throw new TypeError(
        `Expected \`middleware[${index}]\` to be a middleware, got an interceptor: it goes into \`serverOptions({ interceptors })\``,
      );
    if (isClass(middleware)) throw expected(`middleware[${index}]`, 'a middleware, not a class', middleware);
  });
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    (typeof value === 'object' || typeof value === 'function') &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}
