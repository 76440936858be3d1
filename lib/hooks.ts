import { isThenable, show } from './check.ts';

/** Calls a hook that is only told something: one that fails, at once or later, changes nothing. */
export function survive(hook: () => unknown): void {
  failureOf(hook);
}

/** Calls what nobody waits for, and answers what it throws at once, in a box. */
export function failureOf(run: () => unknown): { readonly error: unknown } | undefined {
  try {
    forget(run());
    return undefined;
  } catch (error) {
    return { error };
  }
}

/** What nobody waits for must not end the process when it rejects. */
export function forget(answer: unknown): void {
  try {
    if (isThenable(answer)) answer.then(undefined, () => {});
  } catch {
    // What is only like a promise might throw when its `then` is called.
  }
}

/**
 * The answer of a hook that is asked where nothing can wait, if `is` says that the answer is of the right kind.
 *
 * @example
 * const peer = answerOf('peerOf', 'a string', peerOf(call), isString);
 * @throws TypeError that names the hook, also when it answers with a promise.
 */
export function answerOf<T>(
  hook: string,
  what: string,
  answer: unknown,
  is: (answer: unknown) => answer is T,
): T {
  if (!isThenable(answer) && is(answer)) return answer;
  forget(answer);
  const waits = isThenable(answer) ? ': it is not waited for here' : '';
  throw new TypeError(`Expected \`${hook}()\` to return ${what}, got ${show(answer)}${waits}`);
}

export function isString(answer: unknown): answer is string {
  return typeof answer === 'string';
}

export function isBoolean(answer: unknown): answer is boolean {
  return typeof answer === 'boolean';
}

/** A forgotten `return` makes no message. */
export function isMessage(answer: unknown): answer is NonNullable<unknown> {
  return answer !== undefined && answer !== null;
}
