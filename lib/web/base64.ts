/** What the characters of base64 stand for, by their codes. */
const SIX_BITS = new Uint8Array(256).fill(99);
const [PADDING, BLANK, ELSE] = [97, 98, 99];
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
for (let six = 0; six < LETTERS.length; six++) SIX_BITS[LETTERS.charCodeAt(six)] = six;
for (const blank of ' \t\n\v\f\r') SIX_BITS[blank.charCodeAt(0)] = BLANK;
SIX_BITS['='.charCodeAt(0)] = PADDING;

/**
 * The bytes of base64 that was written in parts, each with its own padding, which the last may go without. One pass and
 * one buffer, however many parts there are, which is for who sent them to choose.
 */
export function bytesOfParts(text: Uint8Array, maxBytes: number): Buffer | 'too large' | 'no base64' {
  // A byte beyond those that may be is never written.
  const bytes = Buffer.allocUnsafe(Math.min(maxBytes, Math.ceil((text.length * 3) / 4)) + 3);
  let size = 0;
  let held = 0;
  let letters = 0;
  let padding = 0;
  for (let at = 0; at < text.length; at++) {
    const six = SIX_BITS[text[at] as number] as number;
    if (six === BLANK) continue;
    if (six === ELSE) return 'no base64';
    if (six === PADDING) {
      padding += 1;
      if (letters < 2) return 'no base64';
      if (letters + padding < 4) continue;
      size = put(bytes, size, held << (6 * padding), letters - 1);
    } else {
      if (padding > 0) return 'no base64';
      held = (held << 6) | six;
      letters += 1;
      if (letters < 4) continue;
      size = put(bytes, size, held, 3);
    }
    if (size > maxBytes) return 'too large';
    held = letters = padding = 0;
  }
  if (letters === 1 || padding > 0) return 'no base64';
  if (letters > 0) size = put(bytes, size, held << (6 * (4 - letters)), letters - 1);
  return size > maxBytes ? 'too large' : bytes.subarray(0, size);
}

/** Writes so many of three bytes, and says where the next goes. */
function put(bytes: Buffer, at: number, three: number, count: number): number {
  bytes[at] = three >> 16;
  if (count > 1) bytes[at + 1] = three >> 8;
  if (count > 2) bytes[at + 2] = three;
  return at + count;
}

/** Whether a text is base64, of either alphabet, padded or not, that is not cut off within a byte. */
export function isBase64(text: string): boolean {
  const [, letters] = /^([\w+/-]*)={0,2}$/.exec(text) ?? [];
  return letters !== undefined && letters.length % 4 !== 1;
}
