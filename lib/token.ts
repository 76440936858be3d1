/** Beyond so many bytes of headers servers begin to refuse a call. */
const MAX_BYTES = 8192;

/** What comes out of a header as it went in. */
const EXACT = /^[!-~](?:[ -~]*[!-~])?$/;

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

/** What protobuf.js makes of a 64-bit integer, by the mark it puts on it. */
export function isLong(token: unknown): boolean {
  return typeof token === 'object' && (token as { __isLong__?: unknown } | null)?.__isLong__ === true;
}
