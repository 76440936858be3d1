import { status } from '@grpc/grpc-js';
import type { Attributes } from '@opentelemetry/api';
import { expected } from '../../lib/check.ts';

/**
 * Which names of the semantic conventions are used. `stable`: those of 1.45.0. `old`: those before, as
 * `@opentelemetry/instrumentation-grpc` has them. `dup`: both, while dashboards move.
 */
export type Semconv = 'stable' | 'dup' | 'old';

/**
 * Names of the conventions, which are not worth a dependency.
 * https://github.com/open-telemetry/semantic-conventions/tree/v1.45.0/docs/rpc
 */
export const names = {
  requestHeader: 'rpc.request.header.',
  responseHeader: 'rpc.response.header.',
  responseTrailer: 'rpc.response.trailer.',
  errorType: 'error.type',
  exception: 'rpc.server.call.exception',
  duration: 'rpc.server.call.duration',
  oldDuration: 'rpc.server.duration',
} as const;

/** The option, or what `OTEL_SEMCONV_STABILITY_OPT_IN` asks for, or `stable`: there is no older default. */
export function semconvOf(option: Semconv | undefined): Semconv {
  if (option !== undefined) {
    if (option === 'stable' || option === 'dup' || option === 'old') return option;
    throw expected('semconv', "'stable', 'dup' or 'old'", option);
  }
  const wanted = (process.env.OTEL_SEMCONV_STABILITY_OPT_IN ?? '').split(',').map(item => item.trim());
  if (wanted.includes('rpc/dup')) return 'dup';
  return wanted.includes('rpc/old') && !wanted.includes('rpc') ? 'old' : 'stable';
}

/** What a method is called: `package.Service/Method`, without the slash in front. */
export function methodOf(path: string): string {
  return path.startsWith('/') ? path.slice(1) : path;
}

/** The method that is called; where both conventions have `rpc.method`, the full name wins. */
export function methodAttributes(path: string, semconv: Semconv): Attributes {
  const method = methodOf(path);
  const stable = { 'rpc.system.name': 'grpc', 'rpc.method': method };
  if (semconv === 'stable') return stable;
  const slash = method.lastIndexOf('/');
  const old = {
    'rpc.system': 'grpc',
    'rpc.service': method.slice(0, slash),
    'rpc.method': method.slice(slash + 1),
  };
  return semconv === 'old' ? old : { ...old, ...stable };
}

/** How the call ended. */
export function statusAttributes(code: status, semconv: Semconv): Attributes {
  const stable = { 'rpc.status_code': statusName(code) };
  if (semconv === 'stable') return stable;
  const old = { 'rpc.grpc.status_code': code };
  return semconv === 'old' ? old : { ...old, ...stable };
}

/** The name a client reads; a code that there is not is sent as `UNKNOWN`. */
export function statusName(code: status): string {
  return status[code] ?? 'UNKNOWN';
}

/** Where the call came from and went to, as far as that is known. */
export function networkAttributes(host: string, peer: string): Attributes {
  return {
    ...address('server', hostAndPort(host)),
    ...(peer === 'unknown' ? {} : address('network.peer', splitLast(peer))),
  };
}

function address(prefix: string, [name, port]: [string, string | undefined]): Attributes {
  if (name === '') return {};
  const attributes: Attributes = { [`${prefix}.address`]: name };
  if (port !== undefined) attributes[`${prefix}.port`] = Number(port);
  return attributes;
}

/** An `:authority`: IPv6 stands in brackets. */
function hostAndPort(host: string): [string, string | undefined] {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(host);
  return match ? [match[1] ?? match[2] ?? '', match[3]] : [host, undefined];
}

/** A peer of grpc-js: IPv6 stands bare, the port is after the last colon. */
function splitLast(peer: string): [string, string | undefined] {
  const match = /^(.*):(\d+)$/.exec(peer);
  return match ? [match[1] ?? '', match[2]] : [peer, undefined];
}
