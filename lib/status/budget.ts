import type { Metadata, MetadataValue } from '@grpc/grpc-js';

/**
 * How many bytes of headers, or of status and trailers together, go to a client: those of the C core refuse some
 * of what is more, and all that is twice as much. Names and values count as they are on the wire, and 32 bytes each.
 * @see https://github.com/grpc/grpc/blob/master/include/grpc/impl/channel_arg_names.h (`max_metadata_size`)
 */
const MAX_BYTES = 8192;

/** What HTTP/2 counts for each field beside its name and value (RFC 9113, section 6.5.2). */
const FIELD_BYTES = 32;

/** What grpc-js and Node send beside ours, with the largest status: `:status`, `date`, `grpc-status` and so on. */
const OVERHEAD_BYTES = { header: 320, trailer: 280 };

/** Details that are longer are cut. */
const MAX_DETAILS_BYTES = 4096;

/** So much of the budget is for the details of a status, when they need it; the trailers have the rest. */
const DETAILS_SHARE = 4096;

const CUT = '… (cut)';

/** How many bytes headers, or trailers beside these details, may have. */
export function budgetOf(kind: 'header' | 'trailer', details = ''): number {
  return MAX_BYTES - OVERHEAD_BYTES[kind] - Math.min(encodedBytes(details), DETAILS_SHARE);
}

/** The bytes of one value of this key on the wire, where bytes are base64. */
export function fieldBytes(key: string, value: MetadataValue): number {
  const bytes = typeof value === 'string' ? value.length : Math.ceil(value.length / 3) * 4;
  return key.length + bytes + FIELD_BYTES;
}

/** Text that can be sent: well-formed Unicode, of bounded size. */
export function sendableDetails(details: string): string {
  const text = details.toWellFormed();
  // A character of UTF-16 is three bytes at most.
  if (text.length * 3 <= MAX_DETAILS_BYTES) return text;
  return cut(text, MAX_DETAILS_BYTES, part => Buffer.byteLength(part));
}

/** What of the details fits beside these trailers. */
export function fitting(details: string, trailers: Metadata): string {
  // A character of UTF-16 is three bytes at most, and nine as they are encoded.
  if (details.length * 9 <= DETAILS_SHARE) return details;
  const taken = trailerBytes(trailers);
  return cut(details, MAX_BYTES - OVERHEAD_BYTES.trailer - taken, encodedBytes);
}

function trailerBytes(trailers: Metadata): number {
  let bytes = 0;
  for (const [key, values] of Object.entries(trailers.toJSON()))
    for (const value of values as MetadataValue[]) bytes += fieldBytes(key, value);
  return bytes;
}

/** Details are percent-encoded on the wire. */
function encodedBytes(text: string): number {
  return encodeURI(text).length;
}

/** The longest beginning that has no more than so many bytes, between two characters, with a mark of the cut. */
function cut(text: string, maxBytes: number, bytesOf: (text: string) => number): string {
  if (bytesOf(text) <= maxBytes) return text;
  const left = maxBytes - bytesOf(CUT);
  let [fits, tooLong] = [0, text.length];
  while (tooLong - fits > 1) {
    const middle = (fits + tooLong) >> 1;
    if (bytesOf(before(text, middle)) <= left) fits = middle;
    else tooLong = middle;
  }
  return before(text, fits) + CUT;
}

/** The text before this place, or before the character that it would split. */
function before(text: string, end: number): string {
  const last = text.charCodeAt(end - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? end - 1 : end);
}
