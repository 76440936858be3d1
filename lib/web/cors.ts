import { checkBoolean, checkDuration, checkOptions, expected } from '../check.ts';
import { answerOf, isBoolean } from '../hooks.ts';
import { isTls } from './origin.ts';
import { authorityOf, headerOf, type WebRequest } from './transport.ts';

/** Which pages of other origins may call, and what they may see. */
export interface CorsOptions {
  /**
   * The origins of pages that may call beside those of the same origin: a list such as `['https://app.example.com']`, a
   * function that is asked, or `'*'` for all, which goes without credentials. A pattern is for a function. The origin
   * `null` is that of files and of sandboxed frames, which any page can have: it goes without credentials, too, and a
   * function is not asked about it then.
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
  /** Which page asks makes a difference to the answer, and caches are told. */
  readonly varies: boolean;
  readonly credentials: boolean;
  readonly maxAge: string;
}

/** No page of another origin may call. */
export const NO_CORS: Cors = {
  allows: () => false,
  any: false,
  varies: false,
  credentials: false,
  maxAge: '0',
};

/** @throws TypeError when an option is out of its range. */
export function corsOf(options: CorsOptions | undefined): Cors {
  if (options === undefined) return NO_CORS;
  checkOptions(options, ['origins', 'credentials', 'maxAgeMs'], 'cors');
  const { origins, credentials = false, maxAgeMs = 7_200_000 } = options;
  checkBoolean('cors.credentials', credentials);
  checkDuration('cors.maxAgeMs', maxAgeMs);
  if (origins === '*' && credentials)
    throw new TypeError(
      'Expected `cors.origins` to name origins, or to be a function, as `cors.credentials` is set, got `*`: any page could act for its reader',
    );
  const allows = ruleOf(origins, credentials);
  const any = origins === '*';
  return { allows, any, varies: !any, credentials, maxAge: String(Math.floor(maxAgeMs / 1000)) };
}

function ruleOf(origins: CorsOptions['origins'], credentials: boolean): Cors['allows'] {
  if (origins === '*') return () => true;
  if (typeof origins === 'function')
    return origin => {
      if (origin === 'null' && credentials) return false;
      return answerOf('cors.origins', 'a boolean', origins(origin), isBoolean);
    };
  if (!Array.isArray(origins))
    throw expected('cors.origins', "'*', a list of origins, or a function", origins);
  origins.forEach((origin: unknown, index) => {
    const name = `cors.origins[${index}]`;
    if (typeof origin === 'string' && origin.includes('*'))
      throw new TypeError(
        `Expected \`${name}\` to be one origin, got \`${origin}\`: patterns are for a function as \`cors.origins\`, such as ${PATTERN}, and all origins are \`cors.origins: '*'\``,
      );
    if (!isOrigin(origin)) throw expected(name, 'an origin such as `https://app.example.com`', origin);
    if (origin === 'null' && credentials)
      throw new TypeError(
        `Expected \`${name}\` to name an origin, as \`cors.credentials\` is set, got \`null\`, which every page can be by a sandboxed frame: any page could act for its reader`,
      );
  });
  const known = new Set<string>(origins);
  return origin => known.has(origin);
}

const PATTERN = '`origin => /^https:\\/\\/[a-z0-9-]+\\.example\\.com$/.test(origin)`';

/** A host that has a name or an address: what looks like a pattern is the origin of no page. */
const WRITTEN = /^[a-z][a-z0-9+.-]*:\/\/(?:[\w.-]*|\[[0-9a-f:.]+\])(?::\d+)?$/i;

/** What has an origin, and no pages. */
const NO_PAGES = /^(?:wss?|ftp):/;

/** As a browser writes it: a scheme, a host, and a port when it is not the usual one. */
function isOrigin(origin: unknown): boolean {
  if (origin === 'null') return true;
  if (typeof origin !== 'string' || !WRITTEN.test(origin) || NO_PAGES.test(origin)) return false;
  try {
    const url = new URL(origin);
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
  // So that whatever a cache has kept is for all.
  if (cors.any) return 'allowed';
  const origin = headerOf(request, 'origin');
  const site = headerOf(request, 'sec-fetch-site');
  const across = site === 'cross-site' || site === 'same-site';
  if (origin === undefined) return across ? 'foreign' : 'own';
  if (site === 'same-origin') return 'own';
  if (cors.allows(origin)) return 'allowed';
  return !across && isOfHost(origin, request) ? 'own' : 'foreign';
}

/**
 * For browsers that do not say where a request comes from, which none does to what it reaches without TLS. A proxy might
 * have taken TLS away, but none adds it to a page: behind TLS of our own, a page without is another.
 */
function isOfHost(origin: string, request: WebRequest): boolean {
  const host = authorityOf(request);
  return origin === `https://${host}` || (origin === `http://${host}` && !isTls(request.socket));
}

export const VARY: Readonly<Record<string, string>> = { vary: 'Origin' };

/** What a page of another origin may see of a response. */
export function readable(request: WebRequest, cors: Cors): Record<string, string> {
  if (cors.any) return { 'access-control-allow-origin': '*' };
  const origin = headerOf(request, 'origin');
  const headers: Record<string, string> = { ...VARY };
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
