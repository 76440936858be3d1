import { answerOf } from '../hooks.ts';

/** Beyond so many bytes of headers servers begin to refuse a call. */
const MAX_BYTES = 8192;

/** What comes out of a header as it went in. */
const EXACT = /^[!-~](?:[ -~]*[!-~])?$/;

/** What a token must be that `resume` does not put into the request. */
export const CARRIED: string =
  'what a header carries as it is, as there is no `resume`: a string of 1 to 8192 characters of ASCII without ' +
  'blanks around it, a finite number, or a bigint';

/** The token as a header; nothing when no header carries it exactly. */
export function headerOf(token: unknown): string | undefined {
  switch (typeof token) {
    case 'string':
      return token.length <= MAX_BYTES && EXACT.test(token) ? token : undefined;
    case 'number':
      return Number.isFinite(token) ? String(token) : undefined;
    case 'bigint':
      return String(token);
    default:
      return isLong(token) ? String(token) : undefined;
  }
}

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

/** What protobuf.js makes of a 64-bit integer, by the mark it puts on it. */
function isLong(token: unknown): boolean {
  return typeof token === 'object' && (token as { __isLong__?: unknown } | null)?.__isLong__ === true;
}

/** An object is not equal to the same object that comes again. */
function isPrimitive(token: unknown): boolean {
  return token === null || (typeof token !== 'object' && typeof token !== 'function');
}
