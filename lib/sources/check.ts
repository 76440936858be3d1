import { checkOptions, expected } from '../check.ts';

export { checkOptions, expected };

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

export function checkSignal(value: unknown): void {
  if (value !== undefined && typeof (value as AbortSignal | null)?.addEventListener !== 'function')
    throw expected('signal', 'an AbortSignal', value);
}
