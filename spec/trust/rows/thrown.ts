import { status } from '@grpc/grpc-js';
import { type Row, SECRET } from '../row.ts';

/** What an error becomes that no client may read. */
const HIDDEN = [status.UNKNOWN, status.INTERNAL];
const FAILED: number[] = Object.values(status).filter(
  code => typeof code === 'number' && code > 0,
) as number[];

const secret = (more: object = {}) => Object.assign(new Error(`ENOENT: ${SECRET}`), more);

/** A server whose method … */
export const thrown: Row[] = [
  {
    name: 'throws before its first message',
    // biome-ignore lint/correctness/useYield: it comes to no message.
    async *source() {
      throw secret();
    },
    status: HIDDEN,
    messages: 0,
  },
  {
    name: 'throws after two messages',
    async *source() {
      yield { number: 1 };
      yield { number: 2 };
      throw secret();
    },
    status: HIDDEN,
    messages: 2,
  },
  {
    name: 'throws at once, synchronously',
    source() {
      throw secret();
    },
    handler() {
      throw secret();
    },
    status: HIDDEN,
  },
  {
    name: 'is `async` and rejects',
    async source() {
      throw secret();
    },
    async handler() {
      throw secret();
    },
    without: { 'nice-grpc': 'its types take no promise', 'connect-node': 'its types take no promise' },
    status: HIDDEN,
  },
  {
    name: 'is `async` and rejects after a message',
    async handler(call) {
      call.write({ number: 1 });
      throw secret();
    },
    status: HIDDEN,
    messages: 1,
  },
  {
    name: 'throws `undefined`',
    // biome-ignore lint/correctness/useYield: it comes to no message.
    async *source() {
      throw undefined;
    },
    handler() {
      throw undefined;
    },
    status: HIDDEN,
  },
  {
    name: 'fails with a status that is meant for its client',
    async *source(tools) {
      yield { number: 1 };
      throw tools.status(status.NOT_FOUND, 'no such log');
    },
    status: [status.NOT_FOUND],
    messages: 1,
  },
  {
    name: 'fails with `code: 0`',
    // biome-ignore lint/correctness/useYield: it comes to no message.
    async *source(tools) {
      throw tools.status(0, 'not OK at all');
    },
    handler: call => call.emit('error', { code: 0, details: 'not OK at all' } as never),
    status: FAILED,
  },
  {
    name: 'fails with `code: 11000`, as of a database',
    // biome-ignore lint/correctness/useYield: it comes to no message.
    async *source() {
      throw secret({ code: 11000 });
    },
    handler: call => call.emit('error', secret({ code: 11000 })),
    status: FAILED,
  },
  {
    name: "fails with `code: 'ENOENT'`, as of a file",
    // biome-ignore lint/correctness/useYield: it comes to no message.
    async *source() {
      throw secret({ code: 'ENOENT', errno: -2, syscall: 'open' });
    },
    handler: call => call.emit('error', secret({ code: 'ENOENT', errno: -2, syscall: 'open' })),
    status: FAILED,
  },
  {
    name: 'calls `destroy(error)`',
    handler: call => call.destroy(secret()),
    status: HIDDEN,
  },
  {
    name: 'throws in its `finally`',
    async *source() {
      try {
        yield { number: 1 };
      } finally {
        // biome-ignore lint/correctness/noUnsafeFinally: that is the fault.
        throw secret();
      }
    },
    status: HIDDEN,
    messages: 1,
  },
];
