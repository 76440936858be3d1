import { checkBoolean, checkDuration, checkOptions, expected } from '../check.ts';
import { answerOf, isBoolean } from '../hooks.ts';
import { headerOf, type WebRequest } from './transport.ts';

/** Which pages of other origins may call, and what they may see. */
export interface CorsOptions {
  /**
   * The origins of pages that may call beside those of the same host: a list such as `['https://app.example.com']`, a
   * function that is asked, or `'*'` for all, which goes without credentials.
   */
  readonly origins: '*' | readonly string[] | ((origin: string) => boolean);
  /**
   * Whether pages of those origins may send cookies and certificates.
   * @default false
   */
  readonly credentials?: boolean;
  /**
   * How long a browser may keep the answer to its question, in milliseconds; browsers have bounds of their own.
   * Minimum 0.
   * @default 7200000
   */
  readonly maxAgeMs?: number;
}

/** Says which pages may call, and read what they are answered. */
export interface Cors {
  readonly allows: (origin: string) => boolean;
  readonly any: boolean;
  readonly credentials: boolean;
  readonly maxAge: string;
}

/** @throws TypeError when an option is out of its range. */
export function corsOf(options: CorsOptions | undefined): Cors {
  if (options === undefined) return { allows: () => false, any: false, credentials: false, maxAge: '0' };
  checkOptions(options, ['origins', 'credentials', 'maxAgeMs'], 'cors');
  const { origins, credentials = false, maxAgeMs = 7_200_000 } = options;
  checkBoolean('cors.credentials', credentials);
  checkDuration('cors.maxAgeMs', maxAgeMs);
  if (origins === '*' && credentials)
    throw new TypeError(
      'Expected `cors.origins` to name origins, or to be a function, as `cors.credentials` is set, got `*`: any page could act for its reader',
    );
  const maxAge = String(Math.floor(maxAgeMs / 1000));
  return { allows: ruleOf(origins), any: origins === '*', credentials, maxAge };
}

function ruleOf(origins: CorsOptions['origins']): (origin: string) => boolean {
  if (origins === '*') return () => true;
  if (typeof origins === 'function')
    return origin => answerOf('cors.origins', 'a boolean', origins(origin), isBoolean);
  if (!Array.isArray(origins))
    throw expected('cors.origins', "'*', a list of origins, or a function", origins);
  origins.forEach((origin: unknown, index) => {
    if (!isOrigin(origin))
      throw expected(`cors.origins[${index}]`, 'an origin such as `https://app.example.com`', origin);
  });
  const known = new Set<string>(origins);
  return origin => known.has(origin);
}

/** As a browser writes it: a scheme, a host, and a port when it is not the usual one. */
function isOrigin(origin: unknown): boolean {
  if (origin === 'null') return true;
  try {
    const url = new URL(origin as string);
    return url.origin === origin || (url.origin === 'null' && `${url.protocol}//${url.host}` === origin);
  } catch {
    return false;
  }
}

/**
 * Whose page asks: of this host, of an origin that may, or of another, to which nothing is served. What asks without
 * saying whose it is, is no page, but for what a browser says came across sites: an image, a form, a link.
 */
export function standingOf(request: WebRequest, cors: Cors): 'own' | 'allowed' | 'foreign' {
  const origin = headerOf(request, 'origin');
  const site = headerOf(request, 'sec-fetch-site');
  const across = site === 'cross-site' || site === 'same-site';
  if (origin === undefined) return !across ? 'own' : cors.any ? 'allowed' : 'foreign';
  if (site === 'same-origin' || isSameHost(origin, request)) return 'own';
  return cors.allows(origin) ? 'allowed' : 'foreign';
}

function isSameHost(origin: string, request: WebRequest): boolean {
  const host = headerOf(request, ':authority') ?? headerOf(request, 'host');
  return origin.replace(/^[a-z][a-z0-9+.-]*:\/\//, '') === host && origin !== host;
}

/** What a page of another origin may see of a response. */
export function readable(request: WebRequest, cors: Cors): Record<string, string> {
  if (cors.any) return { 'access-control-allow-origin': '*' };
  const origin = headerOf(request, 'origin');
  const headers: Record<string, string> = { vary: 'Origin' };
  if (origin !== undefined) headers['access-control-allow-origin'] = origin;
  if (cors.credentials) headers['access-control-allow-credentials'] = 'true';
  return headers;
}

/** What a page is to be able to read of every call. */
const EXPOSED = ['grpc-status', 'grpc-message', 'grpc-status-details-bin'];

export function exposing(names: readonly string[]): Record<string, string> {
  return { 'access-control-expose-headers': [...EXPOSED, ...names].join(', ') };
}

/** Answers the question that a browser asks before a call: every header is metadata, and may be sent. */
export function permission(request: WebRequest, cors: Cors): Record<string, string> {
  const asked = headerOf(request, 'access-control-request-headers');
  const headers = readable(request, cors);
  return {
    ...headers,
    vary: [headers.vary, 'Access-Control-Request-Headers'].filter(Boolean).join(', '),
    'access-control-allow-methods': 'GET, POST',
    ...(asked !== undefined && { 'access-control-allow-headers': asked }),
    'access-control-max-age': cors.maxAge,
  };
}
