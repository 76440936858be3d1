import { type AnySource, turn } from './harness.ts';

/** Four ways to be open: waiting, with a client that does not read, sending, and silent. */
export const ways = {
  async *parked(_request, { signal }) {
    yield 'first';
    await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  },
  async *stalled() {
    for (;;) yield 'x'.repeat(10_000);
  },
  async *busy() {
    for (;;) {
      yield 'busy';
      await turn();
    }
  },
  async *idle(_request, { signal }) {
    yield 'first';
    await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()));
  },
} satisfies Record<string, AnySource>;

/** Deaf to its signal, for ever. */
export const deaf: AnySource = async function* () {
  yield 'first';
  await new Promise(() => {});
};

/** As the request says. */
export const anyOf: AnySource = (request, call) => {
  const source: AnySource = { ...ways, deaf }[request.way as keyof typeof ways];
  return source(request, call);
};
