import { type ServerWritableStream, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { live } from '../../lib/call/live.ts';
import { drain, type Middleware, mount } from '../../lib/index.ts';
import { definition, mountNames, quiet, serve, start, stopAll, until } from '../support/harness.ts';

/** Breaks what the end of a call makes use of; answers how to mend it. */
const breakages: Record<string, () => () => void> = {
  'Error.stackTraceLimit cannot be written'() {
    const before = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit') as PropertyDescriptor;
    Object.defineProperty(Error, 'stackTraceLimit', { ...before, writable: false });
    return () => Object.defineProperty(Error, 'stackTraceLimit', before);
  },
  'Error.stackTraceLimit is gone'() {
    const { stackTraceLimit } = Error;
    Reflect.deleteProperty(Error, 'stackTraceLimit');
    return () => {
      Error.stackTraceLimit = stackTraceLimit;
    };
  },
  'aborting throws'() {
    const { abort } = AbortController.prototype;
    AbortController.prototype.abort = () => {
      throw new Error('no abort');
    };
    return () => {
      AbortController.prototype.abort = abort;
    };
  },
  'the console throws'() {
    const { error } = console;
    console.error = () => {
      throw new Error('no console');
    };
    return () => {
      console.error = error;
    };
  },
};

describe('the way to the end of a call', () => {
  afterEach(stopAll);

  for (const on of mountNames)
    for (const [what, breaks] of Object.entries(breakages))
      it(`goes on to its end when ${what}, on ${on}`, async () => {
        const log: string[] = [];
        const noting: Middleware = call => {
          void call.signal;
          return { end: outcome => void log.push(outcome.reason) };
        };
        const server = await serve(
          on,
          async function* () {
            try {
              for (;;) {
                yield 'x';
                await new Promise(resolve => setTimeout(resolve, 1));
              }
            } finally {
              log.push('finally');
            }
          },
          [noting],
        );
        const calls = [server.open(), server.open()];
        await Promise.all(calls.map(({ stream }) => new Promise(resolve => stream.once('data', resolve))));
        const mend = breaks();
        try {
          calls[0]?.cancel();
          await until('the first is over', () => log.length === 2);
          await drain(server.server, { graceMs: 20 });
          await until('the second is over', () => log.length === 4);
        } finally {
          mend();
        }
        expect(log.slice(0, 2).sort()).to.deep.equal(['cancelled', 'finally']);
        expect(log.slice(2).sort()).to.deep.equal(['drain', 'finally']);
        expect((await (calls[1] as { reply: Promise<{ code: number }> }).reply).code).to.equal(
          status.UNAVAILABLE,
        );
        await until('nothing is left', () => live.size === 0);
      });

  it('ends the others when what sends the status of one throws', async () => {
    const server = await start(one =>
      mount(
        one,
        definition,
        {
          async *stream() {
            yield 'x';
            await new Promise(() => {});
          },
        },
        quiet,
      ),
    );
    const calls = [server.open(), server.open()];
    await Promise.all(calls.map(({ stream }) => new Promise(resolve => stream.once('data', resolve))));
    const [first] = [...live] as unknown as { wire: { port: { stream: ServerWritableStream<any, any> } } }[];
    const { port } = (first as NonNullable<typeof first>).wire;
    const { emit } = port.stream;
    port.stream.emit = (event: string, ...args: unknown[]) => {
      if (event === 'error') throw new Error('no way out');
      return emit.call(port.stream, event, ...args);
    };
    await drain(server.server, { graceMs: 20 });
    const codes = await Promise.all(calls.map(({ reply }) => reply.then(({ code }) => code)));
    expect(codes).to.include(status.UNAVAILABLE);
    await until('nothing is left', () => live.size === 0);
  });
});
