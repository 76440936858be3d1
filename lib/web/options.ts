import type { MethodDefinition } from '@grpc/grpc-js';
import { checkDuration, checkFunction, checkInteger, checkOptions } from '../check.ts';
import type { JsonCodec } from '../json.ts';
import { type Cors, type CorsOptions, corsOf } from './cors.ts';

/** How pages are served. */
export interface WebOptions {
  /**
   * Which pages of other origins may call. Those of the same origin always may, and what is no page.
   * @default none
   */
  readonly cors?: CorsOptions;
  /**
   * How far a page is that has this message, as `token` of `subscribe` says it: the `id` of its event, which comes back
   * as the metadata `last-event-id`. A string of ASCII, a finite number or a bigint; `undefined` says nothing.
   */
  readonly token?: (message: any) => unknown;
  /**
   * The JSON of a method, for events; nothing leaves it to its definition, which has one where proto-loader made it.
   */
  readonly json?: (method: MethodDefinition<any, any>) => JsonCodec | undefined;
  /**
   * How large a request may be, in bytes; one that is larger is refused with `RESOURCE_EXHAUSTED`. Minimum 1.
   * @default 4194304
   */
  readonly maxRequestBytes?: number;
  /**
   * How long a request may take to arrive, in milliseconds; one that takes longer, or until its deadline, ends with
   * `DEADLINE_EXCEEDED`. Minimum 0.
   * @default 30000
   */
  readonly requestTimeoutMs?: number;
  /**
   * After how long a silence a comment is sent among events, in milliseconds: proxies close what is silent for a
   * minute. Minimum 0, which is never.
   * @default 15000
   */
  readonly heartbeatMs?: number;
  /**
   * After how long an EventSource comes back, in milliseconds, give or take a half: pages that lose their server
   * together do not come back together. Minimum 0.
   * @default 2000
   */
  readonly retryMs?: number;
}

export interface WebSettings extends Required<Omit<WebOptions, 'cors' | 'token' | 'json'>> {
  readonly cors: Cors;
  readonly token: WebOptions['token'];
  readonly json: WebOptions['json'];
}

/** @throws TypeError when an option is out of its range. */
export function settingsOf(options: WebOptions): WebSettings {
  checkOptions(options, [
    ...(['cors', 'token', 'json', 'maxRequestBytes'] as const),
    ...(['requestTimeoutMs', 'heartbeatMs', 'retryMs'] as const),
  ]);
  const { cors, token, json, maxRequestBytes = 4_194_304 } = options;
  const { requestTimeoutMs = 30_000, heartbeatMs = 15_000, retryMs = 2000 } = options;
  if (token !== undefined) checkFunction('token', token);
  if (json !== undefined) checkFunction('json', json);
  checkInteger('maxRequestBytes', maxRequestBytes, 1);
  checkDuration('requestTimeoutMs', requestTimeoutMs);
  checkDuration('heartbeatMs', heartbeatMs);
  checkDuration('retryMs', retryMs);
  const never = heartbeatMs === 0 ? Number.POSITIVE_INFINITY : heartbeatMs;
  return { cors: corsOf(cors), token, json, maxRequestBytes, requestTimeoutMs, heartbeatMs: never, retryMs };
}
