import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { chunk, from, merge, replay } from '../../lib/sources/index.ts';
import { collect } from '../../lib/testing/index.ts';
import { quiet } from '../support/harness.ts';
import { failure } from './tools.ts';

const boom = new Error('mine');

/** What `next()` of a broken iterator answers, and what is heard of it. */
const answers: Record<string, [answer: () => unknown, message: string]> = {
  nothing: [
    () => undefined,
    'Expected `next()` of an iterator to return an object, got `undefined` (undefined)',
  ],
  null: [() => null, 'Expected `next()` of an iterator to return an object, got `null` (object)'],
  'a number': [() => 5, 'Expected `next()` of an iterator to return an object, got `5` (number)'],
  'a step whose `done` throws': [
    () =>
      Object.defineProperty({}, 'done', {
        get: () => {
          throw boom;
        },
      }),
    'mine',
  ],
  'a step whose `value` throws': [
    () =>
      Object.defineProperty({}, 'value', {
        get: () => {
          throw boom;
        },
      }),
    'mine',
  ],
};

/** Yields 1, and breaks then. */
const broken = (answer: () => unknown): AsyncIterable<number> => {
  const steps: unknown[] = [{ done: false, value: 1 }];
  return {
    [Symbol.asyncIterator]: () => ({
      next: async () => (steps.length > 0 ? steps.pop() : answer()) as never,
    }),
  };
};

const readers: Record<string, (stream: AsyncIterable<number>) => AsyncIterable<unknown>> = {
  'from()': stream => from(stream),
  'merge()': stream => merge(stream),
  'chunk()': stream => chunk(stream, { maxItems: 1 }),
  'replay(), as history': stream => replay(stream, [], { id: Number }),
  'replay(), as what is live': stream => replay([], stream, { id: Number }),
};

// The suite fails by itself when a rejection is nobody's.
describe('an iterator that breaks its protocol', () => {
  for (const [what, [answer, message]] of Object.entries(answers)) {
    for (const [reader, read] of Object.entries(readers))
      it(`ends ${reader} with an error that tells, after what was before: ${what}`, async () => {
        const { items, error } = await failure(read(broken(answer)));
        expect(items.flat()).to.deep.equal([1]);
        expect(error.message).to.equal(message);
      });

    it(`ends a call, after what was before: ${what}`, async () => {
      const { messages, outcome } = await collect(() => broken(answer), {}, { middleware: [quiet] });
      expect(messages).to.deep.equal([1]);
      expect(outcome.code).to.equal(status.UNKNOWN);
      expect(outcome.cause).to.have.property('message', message);
    });
  }
});
