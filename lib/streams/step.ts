import { show } from '../check.ts';

/**
 * What an iterator answered; a broken one answers anything, and its `done` and `value` would read as an endless
 * `undefined`.
 * @throws TypeError when it is no step.
 */
export function stepOf<T>(answer: IteratorResult<T>): IteratorResult<T> {
  if (typeof answer === 'object' && answer !== null) return answer;
  throw new TypeError(`Expected \`next()\` of an iterator to return an object, got ${show(answer)}`);
}
