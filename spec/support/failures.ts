import { readFile } from 'node:fs/promises';
import { Metadata, status } from '@grpc/grpc-js';
import { type Middleware, StatusError } from '../../lib/index.ts';
import type { AnySource } from './harness.ts';

/** One way for a call to fail while something secret is at hand. */
export interface Failure {
  readonly source?: AnySource;
  readonly middleware?: Middleware;
  /** Means something else when a handler that was written for grpc-js does it. */
  readonly sourceOnly?: boolean;
}

function secretMetadata(secret: string): Metadata {
  const metadata = new Metadata();
  metadata.set('x-secret', secret);
  metadata.set('x-secret-bin', Buffer.from(secret));
  return metadata;
}

/** All that may be thrown that no client was meant to read. */
function secrets(secret: string): Record<string, () => unknown> {
  const error = (rest: object) => () => Object.assign(new Error(secret), rest);
  return {
    'an error': error({}),
    'an error with a name': error({ name: secret, stack: secret }),
    'a string': () => secret,
    'a status with no code': error({ details: secret, metadata: secretMetadata(secret) }),
    'a system error': error({ code: 'ENOENT', errno: -2, syscall: 'open', path: secret }),
    'a code of a database': error({ code: 11000, details: secret, metadata: secretMetadata(secret) }),
    'the code 0': error({ code: 0, details: secret, metadata: secretMetadata(secret) }),
    'a negative code': error({ code: -1, details: secret, metadata: secretMetadata(secret) }),
    'a code that is no whole number': error({ code: 2.5, details: secret, metadata: secretMetadata(secret) }),
    'a code above 16': error({ code: 17, details: secret }),
    'a code that is text': error({ code: '5', details: secret, metadata: secretMetadata(secret) }),
    'an abort': () => AbortSignal.abort(new DOMException(secret, 'AbortError')).reason,
    'a cause': () => new StatusError(status.NOT_FOUND, 'no', { cause: new Error(secret) }),
    'a cause of a cause': () =>
      new StatusError(status.NOT_FOUND, 'no', { cause: new Error('outer', { cause: new Error(secret) }) }),
    'an aggregate': () => new AggregateError([new Error(secret)], secret),
    'a subclass': () => new (class Secret extends Error {})(secret),
    'an error with a message getter': () =>
      Object.defineProperty(new Error(), 'message', { get: () => secret }),
  };
}

/** Every place a source or a layer may fail in, with a secret in what it throws. */
export function failures(secret: string): Record<string, Failure> {
  const result: Record<string, Failure> = {};
  for (const [name, make] of Object.entries(secrets(secret))) {
    const fail = (): never => {
      throw make();
    };
    // A handler cannot hand grpc-js an error that is no object.
    const sourceOnly = name === 'a string';
    result[`${name}, thrown by the source`] = { source: fail, sourceOnly };
    result[`${name}, thrown after a message`] = {
      source: async function* () {
        yield 'first';
        fail();
      },
      sourceOnly,
    };
    result[`${name}, a rejection`] = { source: async () => fail(), sourceOnly };
    result[`${name}, thrown by a middleware`] = { middleware: fail };
    for (const phase of ['start', 'message', 'end', 'ready'] as const)
      result[`${name}, thrown in ${phase}`] = { middleware: () => ({ [phase]: fail }) };
    result[`${name}, a rejection of ready`] = { middleware: () => ({ ready: async () => fail() }) };
  }
  result['a message that cannot be serialised'] = {
    source: () => [
      {
        toJSON() {
          throw new Error(secret);
        },
      },
    ],
  };
  result['a message that cannot be serialised, after another'] = {
    source: () => [
      'first',
      {
        toJSON() {
          throw new Error(secret);
        },
      },
    ],
  };
  result['a file that is not there'] = {
    source: async function* () {
      yield await readFile(`/${secret}`);
    },
  };
  result['a command that fails'] = {
    // Its code is how the command exited. A handler that emits such an error says a status, for grpc-js and for us.
    sourceOnly: true,
    source: () => {
      throw Object.assign(new Error(`Command failed: ${secret}`), { code: 9, killed: false, cmd: secret });
    },
  };
  result['something that is no stream'] = { source: () => ({ toString: () => secret }) as never };
  result['a header after the headers'] = {
    source: (_request, call) => {
      call.sendHeader();
      call.header.set('x-late', secret);
      return [];
    },
  };
  result['a header that is reserved'] = {
    source: (_request, call) => {
      call.header.set('grpc-message', secret);
      return [];
    },
  };
  result['a header that is no text'] = {
    source: (_request, call) => {
      call.header.set('x-secret', `${secret}ü`);
      return [];
    },
  };
  return result;
}
