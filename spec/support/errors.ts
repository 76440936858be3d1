import { Metadata, status } from '@grpc/grpc-js';
import { configure, type Middleware, type Outcome, StatusError } from '../../lib/index.ts';
import type { AnySource } from './harness.ts';

/** Keeps what `onError` hears and how each call ended. */
export function listener(): { middleware: Middleware[]; errors: unknown[]; outcomes: Outcome[] } {
  const errors: unknown[] = [];
  const outcomes: Outcome[] = [];
  return {
    middleware: [
      configure({ onError: error => void errors.push(error) }),
      () => ({ end: outcome => void outcomes.push(outcome) }),
    ],
    errors,
    outcomes,
  };
}

/** Throws what looks at it, in every way. */
export function hostile(): object {
  const refuse = () => {
    throw new Error('do not look at me');
  };
  return new Proxy(
    {},
    {
      get: refuse,
      has: refuse,
      ownKeys: refuse,
      getPrototypeOf: refuse,
      getOwnPropertyDescriptor: refuse,
    },
  );
}

function throwing(property: string, rest: object = {}): object {
  return Object.defineProperty({ ...rest }, property, {
    enumerable: true,
    get() {
      throw new Error('do not read me');
    },
  });
}

function circular(): Error {
  const first = new Error('first');
  const second = new Error('second', { cause: first });
  first.cause = second;
  return first;
}

/** Metadata of somebody else, with what no `Metadata` of grpc-js would hold. */
export function foreignMetadata(entries: unknown): Metadata {
  return { toJSON: () => entries, clone: () => foreignMetadata(entries) } as never;
}

const NOT_FOUND = { code: status.NOT_FOUND, details: 'no such job' };
const UNKNOWN = { code: status.UNKNOWN, details: 'internal error' };

/** Everything odd that JavaScript lets one throw, and the status it must end as. */
export const exotics: Record<string, { make(): unknown; expected: { code: status; details: string } }> = {
  undefined: { make: () => undefined, expected: UNKNOWN },
  null: { make: () => null, expected: UNKNOWN },
  'a string': { make: () => 'no such table', expected: UNKNOWN },
  'an empty string': { make: () => '', expected: UNKNOWN },
  'a number': { make: () => 5, expected: UNKNOWN },
  'a bigint': { make: () => 5n, expected: UNKNOWN },
  'a symbol': { make: () => Symbol('secret'), expected: UNKNOWN },
  'a function': { make: () => () => 'secret', expected: UNKNOWN },
  'a frozen object': { make: () => Object.freeze({ message: 'secret' }), expected: UNKNOWN },
  'a frozen status': { make: () => Object.freeze({ ...NOT_FOUND }), expected: NOT_FOUND },
  'an object without a prototype': { make: () => Object.create(null), expected: UNKNOWN },
  'a proxy that throws': { make: hostile, expected: UNKNOWN },
  'a code that throws': { make: () => throwing('code'), expected: UNKNOWN },
  'details that throw': { make: () => throwing('details', { code: 5 }), expected: UNKNOWN },
  'a message that throws': { make: () => throwing('message', NOT_FOUND), expected: UNKNOWN },
  'metadata that throws': { make: () => throwing('metadata', NOT_FOUND), expected: UNKNOWN },
  'a promise that rejects': {
    make: () => {
      const promise = Promise.reject(new Error('secret'));
      promise.catch(() => {});
      return promise;
    },
    expected: UNKNOWN,
  },
  'an error that causes itself': { make: circular, expected: UNKNOWN },
  'details that are an object': {
    make: () => ({ code: 5, details: new String('secret') }),
    expected: UNKNOWN,
  },
  'lone surrogates': {
    make: () => new StatusError(status.NOT_FOUND, 'a\ud800b\udc00'),
    expected: { code: status.NOT_FOUND, details: 'a\ufffdb\ufffd' },
  },
  'metadata that is none': { make: () => ({ ...NOT_FOUND, metadata: 'x' }), expected: NOT_FOUND },
  'metadata that lists nothing': {
    make: () => ({ ...NOT_FOUND, metadata: foreignMetadata(undefined) }),
    expected: NOT_FOUND,
  },
  'metadata without lists': {
    make: () => ({ ...NOT_FOUND, metadata: foreignMetadata({ a: 5, b: null }) }),
    expected: NOT_FOUND,
  },
  'metadata with values of all kinds': {
    make: () => ({
      ...NOT_FOUND,
      metadata: foreignMetadata({ a: [undefined, null, {}, Symbol('x'), hostile(), 5n], 'b-bin': ['text'] }),
    }),
    expected: NOT_FOUND,
  },
  'metadata whose value is undefined': {
    make: () => {
      const metadata = new Metadata();
      metadata.set('x-user', undefined as never);
      return { ...NOT_FOUND, metadata };
    },
    expected: NOT_FOUND,
  },
};

/** Where a source may throw. */
export const places: Record<string, (thrown: () => unknown) => AnySource> = {
  'when called': thrown => () => {
    throw thrown();
  },
  'by a rejection': thrown => async () => {
    throw thrown();
  },
  'in [Symbol.asyncIterator]()': thrown => () => ({
    [Symbol.asyncIterator]() {
      throw thrown();
    },
  }),
  'in [Symbol.iterator]()': thrown => () => ({
    [Symbol.iterator]() {
      throw thrown();
    },
  }),
  'in next()': thrown => () => ({
    [Symbol.asyncIterator]: () => ({
      next() {
        throw thrown();
      },
    }),
  }),
  'by a rejection of next()': thrown => () => ({
    [Symbol.asyncIterator]: () => ({
      async next() {
        throw thrown();
      },
    }),
  }),
  'after a message': thrown =>
    async function* () {
      yield 'first';
      throw thrown();
    },
  'synchronously after a message': thrown =>
    function* () {
      yield 'first';
      throw thrown();
    },
};
