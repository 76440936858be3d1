import { after } from '../timers.ts';
import { headerOf, type WebRequest } from './transport.ts';

/** Why a body is not read to its end. */
export type Unread = 'too large' | 'too late' | 'encoded' | 'taken';

/** What is said of a body that somebody compressed. */
export const ENCODED = 'Expected a request without a content-encoding: bodies are read as they are';

/** What is said of a body that is not there any more as it came. */
export const TAKEN = 'The request was read by somebody else before';

/** What may be sent, and until when. */
export interface BodyBounds {
  readonly maxBytes: number;
  readonly withinMs: number;
}

/**
 * Reads the body of a request; one that stops before its end, as its client is gone, is told to nobody. What a
 * framework has read already is taken as it left it: bytes, a text, or JSON. A GET has none that anybody needs.
 */
export function readBody(
  request: WebRequest,
  { maxBytes, withinMs }: BodyBounds,
  read: (body: unknown) => void,
  unread: (why: Unread) => void,
): void {
  const { body } = request as { body?: unknown };
  if (body !== undefined && request.readableEnded) {
    const large = (typeof body === 'string' || body instanceof Uint8Array) && body.length > maxBytes;
    return large ? unread('too large') : read(body);
  }
  if (request.readableDidRead || request.readableEnded)
    return request.method === 'GET' ? read(Buffer.alloc(0)) : unread('taken');
  if (request.method !== 'GET' && !isPlain(request)) return unread('encoded');
  if (Number(request.headers['content-length']) > maxBytes) return unread('too large');
  const chunks: Buffer[] = [];
  let bytes = 0;
  const timer = withinMs < Number.POSITIVE_INFINITY ? after(withinMs, () => stop('too late')) : undefined;
  const stop = (why?: Unread) => {
    timer?.stop();
    request.off('data', took).off('end', ended).off('close', gone);
    if (why) unread(why);
  };
  const took = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > maxBytes) stop('too large');
    else chunks.push(chunk);
  };
  const ended = () => {
    stop();
    read(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, bytes));
  };
  const gone = () => stop();
  request.on('data', took).on('end', ended).on('close', gone);
}

function isPlain(request: WebRequest): boolean {
  const encodings = headerOf(request, 'content-encoding') ?? '';
  return encodings.split(',').every(encoding => /^\s*(identity)?\s*$/i.test(encoding));
}
