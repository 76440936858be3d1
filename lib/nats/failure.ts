import { status } from '@grpc/grpc-js';
import { StatusError } from '../status/status.ts';
import { pause } from '../timers.ts';

/** For how long what begins asks again, and after which time, in milliseconds. */
const PATIENCE_MS = 2500;
const PAUSE_MS = 50;

/** NATS was asked on a connection that is no more: it may have heard, or not. */
export class BrokenError extends Error {
  override readonly name = 'BrokenError';

  /** @param why what NATS said before. */
  constructor(why?: Error) {
    super(why?.message ?? 'the connection to NATS broke', { cause: why });
  }
}

/** There is no connection, and there will be none. */
export class ClosedError extends Error {
  override readonly name = 'ClosedError';

  /** @param why what NATS said before. */
  constructor(why?: Error) {
    super(why?.message ?? 'the connection to NATS is closed', { cause: why });
  }
}

/** NATS did not answer in time: it is busy, or did not hear. */
export class SilentError extends Error {
  override readonly name = 'SilentError';

  constructor() {
    super('NATS does not answer');
  }
}

/** Nobody listens to a subject. */
export class NobodyError extends Error {
  override readonly name = 'NobodyError';

  constructor() {
    super('no responders');
  }
}

/** A stream does not take a subject. */
export class UntakenError extends Error {
  override readonly name = 'UntakenError';

  constructor() {
    super('the stream does not take this subject');
  }
}

/** A message is stored, and not where it was meant to be. */
export class OtherError extends Error {
  override readonly name = 'OtherError';

  constructor(stream: string) {
    super(`it is in stream \`${stream}\` now`);
  }
}

/** What went wrong with NATS, in words, and what it is to who asked. */
interface Failed {
  readonly code: status;
  readonly text: string;
  /** It might work a moment later: NATS or its JetStream is starting, or the connection is away. */
  readonly passing?: boolean;
}

const STREAM_NOT_FOUND = 10_059;

/** By the numbers of JetStream's errors: their texts change from version to version. */
const API: Record<number, Failed> = {
  10002: { code: status.RESOURCE_EXHAUSTED, text: 'the account of NATS has no resources left' },
  10026: { code: status.RESOURCE_EXHAUSTED, text: 'the stream has as many readers as it may have' },
  10027: { code: status.RESOURCE_EXHAUSTED, text: 'NATS has as many streams as it may have' },
  10028: { code: status.RESOURCE_EXHAUSTED, text: 'NATS has no memory left' },
  10047: { code: status.RESOURCE_EXHAUSTED, text: 'NATS has no storage left' },
  10054: { code: status.INVALID_ARGUMENT, text: 'the item is larger than the stream takes' },
  [STREAM_NOT_FOUND]: { code: status.FAILED_PRECONDITION, text: 'there is no such stream' },
  10060: { code: status.FAILED_PRECONDITION, text: 'another stream takes this subject' },
  10065: { code: status.FAILED_PRECONDITION, text: 'another stream takes these subjects' },
  10077: { code: status.RESOURCE_EXHAUSTED, text: 'NATS cannot store it' },
  10084: { code: status.FAILED_PRECONDITION, text: 'the stream is a work queue' },
  10109: { code: status.FAILED_PRECONDITION, text: 'the stream is sealed' },
  10122: { code: status.RESOURCE_EXHAUSTED, text: 'the stream would be larger than the account allows' },
  // The same is being published, and is not stored yet.
  10158: { code: status.UNAVAILABLE, text: 'NATS does not answer', passing: true },
};

/** A status for what NATS answered, that names what was tried; the answer itself is its `cause`. */
export function failureOf(error: unknown, what: string): StatusError {
  if (error instanceof StatusError) return error;
  const { code, text } = read(error);
  const said = text === messageOf(error) ? text : `${text} (${messageOf(error)})`;
  return new StatusError(code, `${what}: ${said}`, { cause: error });
}

/** Whether trying again might help. */
export function isPassing(error: unknown): boolean {
  return read(error).passing === true;
}

/** Whether the user of NATS is not allowed to ask. */
export function isDenied(error: unknown): boolean {
  return read(error).code === status.PERMISSION_DENIED;
}

/** Asks again while that might help: a NATS that starts, or is busy, is slow to answer. */
export async function patiently<A>(ask: () => Promise<A>): Promise<A> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!isPassing(error) || performance.now() > until) throw error;
      await pause(PAUSE_MS);
    }
  }
}

/** Whether NATS has no such stream. */
export function isMissing(error: unknown): boolean {
  return codeOf(error) === STREAM_NOT_FOUND;
}

/** The number of a JetStream error. */
export function codeOf(error: unknown): number | undefined {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'number' && code >= 10_000 ? code : undefined;
}

function read(error: unknown): Failed {
  const text = messageOf(error);
  const code = codeOf(error);
  if (code !== undefined) return API[code] ?? { ...byStatus(error), text };
  switch (nameOf(error)) {
    case 'SilentError':
    case 'TimeoutError':
      return { code: status.UNAVAILABLE, text: 'NATS does not answer', passing: true };
    case 'NobodyError':
    case 'JetStreamNotEnabled':
      return {
        code: status.UNAVAILABLE,
        text: 'no stream has this subject, or NATS runs without JetStream',
        passing: true,
      };
    case 'OtherError':
      return { code: status.FAILED_PRECONDITION, text: 'another stream takes this subject' };
    case 'UntakenError':
      return { code: status.FAILED_PRECONDITION, text };
    case 'BrokenError':
    case 'RequestError':
    case 'NoRespondersError':
      return { code: status.UNAVAILABLE, text: 'the connection to NATS broke', passing: true };
    case 'ClosedError':
    case 'ClosedConnectionError':
    case 'DrainingConnectionError':
      return { code: status.UNAVAILABLE, text: 'the connection to NATS is closed' };
    case 'PermissionViolationError':
    case 'AuthorizationError':
      return { code: status.PERMISSION_DENIED, text: 'NATS does not allow it' };
    case 'InvalidArgumentError':
      return /max_payload/.test(text)
        ? { code: status.INVALID_ARGUMENT, text: 'the item is larger than NATS takes' }
        : { code: status.INTERNAL, text };
    default:
      return { code: status.INTERNAL, text };
  }
}

/** By name errors are known: there may be more than one copy of their classes. */
function nameOf(error: unknown): string | undefined {
  const { name, cause } = (error ?? {}) as Error;
  // A request that may not hear its answer says so below.
  const denied = name === 'RequestError' && nameOf(cause) === 'PermissionViolationError';
  return denied ? 'PermissionViolationError' : name;
}

function byStatus(error: unknown): Omit<Failed, 'text'> {
  const { status: http } = error as { status?: unknown };
  return http === 503 ? { code: status.UNAVAILABLE, passing: true } : { code: status.INTERNAL };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
