import { EventEmitter } from 'node:events';
import { expect } from 'chai';
import { subscribe } from '../../lib/client/index.ts';
import { channel, chunk, from, merge, poll, replay, sleep, topic } from '../../lib/sources/index.ts';

/** Everything that takes options, given one that is misspelt, and the name that was meant. */
const misspelt: Record<string, [take: (wrong: object) => unknown, meant: string]> = {
  channel: [wrong => channel(wrong), 'capacity'],
  topic: [wrong => topic(wrong), 'capacity'],
  'topic().subscribe': [wrong => topic().subscribe(wrong), 'capacity'],
  chunk: [wrong => chunk([], { maxItems: 1, ...wrong }), 'maxDelayMs'],
  poll: [wrong => poll(() => 1, { everyMs: 1, ...wrong }), 'until'],
  replay: [wrong => replay([], [], { id: Number, ...wrong }), 'window'],
  merge: [wrong => merge([], wrong), 'concurrency'],
  'merge of nothing': [wrong => merge(wrong), 'concurrency'],
  'from a list': [wrong => from([], wrong), 'capacity'],
  'from an observable': [wrong => from({ subscribe: () => () => {} }, wrong), 'overflow'],
  'from an emitter': [wrong => from(new EventEmitter(), 'event', wrong), 'error'],
};

describe('the options of a source', () => {
  for (const [name, [take, meant]] of Object.entries(misspelt))
    it(`have known names only: ${name}`, () => {
      const wrong = `${meant}s`;
      expect(() => take({ [wrong]: undefined })).to.throw(
        TypeError,
        `Expected \`options\` to have known names only, got \`${wrong}\`: did you mean \`${meant}\`?`,
      );
    });

  it('of an event are not those of a stream', () => {
    expect(() => from([], { end: 'close' } as never)).to.throw(TypeError, 'got `end`: it has `capacity`');
  });

  it('are a call, for its signal, or none', async () => {
    class Call {
      readonly signal = AbortSignal.abort(new Error('left'));
      readonly path = '/a/b';
    }
    const call = new Call();
    for (const items of [channel(call), topic().subscribe(call), merge([1], call), from([1], call)])
      expect(await items.next().catch(error => error.message)).to.equal('left');
    expect((await channel({ capacity: undefined } as never).return?.())?.done).to.equal(true);
  });

  it('of sleep() are a signal, and nothing around it', () => {
    const { signal } = new AbortController();
    expect(() => sleep(1, { signal } as never)).to.throw(TypeError, 'Expected `signal` to be an AbortSignal');
  });

  it('have no other target of events for a signal: it would never abort', () => {
    for (const target of [
      new EventTarget(),
      { aborted: false, addEventListener() {} },
      new AbortController(),
    ]) {
      const signal = target as AbortSignal;
      const message = 'Expected `signal` to be an AbortSignal';
      for (const make of [
        () => sleep(1, signal),
        () => channel({ signal }),
        () => topic().subscribe({ signal }),
        () => from([1], { signal }),
        () => subscribe((() => {}) as never, {}, { signal }),
      ])
        expect(make).to.throw(TypeError, message);
    }
  });
});
