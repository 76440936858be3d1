import { answerOf } from '../hooks.ts';
import { headerOf } from '../token.ts';

/** What a token must be that `resume` does not put into the request. */
export const CARRIED: string =
  'what a header carries as it is, as there is no `resume`: a string of 1 to 8192 characters of ASCII without ' +
  'blanks around it, a finite number, or a bigint';

/**
 * Refuses a token when it comes, not when it is needed: by then nothing else tells how far the stream was.
 *
 * @param resumes whether `resume` carries tokens, whatever they are.
 */
export function tokenCheck(resumes: boolean, dedupe: number): (token: unknown) => void {
  const is = (token: unknown): token is unknown =>
    (resumes || headerOf(token) !== undefined) && (dedupe === 0 || isPrimitive(token));
  const what = `${resumes ? 'a token' : CARRIED}${dedupe > 0 ? '; a primitive, for `dedupe`' : ''}`;
  return token => {
    if (token !== undefined) answerOf('token', `${what}; \`undefined\` says nothing`, token, is);
  };
}

/** An object is not equal to the same object that comes again. */
function isPrimitive(token: unknown): boolean {
  return token === null || (typeof token !== 'object' && typeof token !== 'function');
}
