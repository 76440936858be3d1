import { checkOptions, expected, isPlain } from '../check.ts';
import { isLong } from '../token.ts';

export { checkOptions, expected, isPlain };

/** An option that may be left out. */
export function checkFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') throw expected(name, 'a function', value);
}

export function checkInteger(name: string, value: unknown, from: number): void {
  if (!Number.isSafeInteger(value) || (value as number) < from)
    throw expected(name, `an integer from ${from} and up`, value);
}

/** An integer, or `Infinity` for no limit. */
export function checkLimit(name: string, value: unknown, from: number): void {
  if (value !== Infinity && (!Number.isSafeInteger(value) || (value as number) < from))
    throw expected(name, `an integer from ${from} and up or \`Infinity\``, value);
}

/** A duration in milliseconds; `Infinity` is for ever. */
export function checkDuration(name: string, value: unknown): void {
  if (typeof value !== 'number' || !(value >= 0))
    throw expected(name, 'a number of milliseconds from 0 and up', value);
}

export function checkOneOf(name: string, value: unknown, list: readonly string[]): void {
  if (!list.includes(value as string))
    throw expected(name, `one of ${list.map(item => `\`${item}\``).join(', ')}`, value);
}

/** Where to go on, as clients send it; what metadata has of a header is a list, which is nobody's place. */
export function checkAfter(value: unknown): void {
  if (value === null || ['undefined', 'number', 'bigint', 'string'].includes(typeof value)) return;
  if (!isLong(value)) throw expected('after', 'a number, a bigint or a string', value);
}

/** Knows a signal by its shape: it might be of another realm. Another target of events would never abort. */
export function checkSignal(value: unknown): void {
  if (value === undefined) return;
  const { aborted, addEventListener, removeEventListener } = (value ?? {}) as Partial<AbortSignal>;
  const listens = typeof addEventListener === 'function' && typeof removeEventListener === 'function';
  if (!listens || typeof aborted !== 'boolean') throw expected('signal', 'an AbortSignal', value);
}
