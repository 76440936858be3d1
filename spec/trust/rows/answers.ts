import { status } from '@grpc/grpc-js';
import { LARGEST, must, type Row, SECRET, sleep } from '../row.ts';

const FAILED = [status.UNKNOWN, status.INTERNAL];
const OK_OR_FAILED = [status.OK, ...FAILED];

/** A server whose method … */
export const answers: Row[] = [
  {
    name: 'returns something that cannot be read',
    source: () => ({ number: 1 }),
    status: FAILED,
  },
  {
    name: 'yields `undefined`',
    async *source() {
      yield undefined;
    },
    status: OK_OR_FAILED,
  },
  {
    name: 'yields a message that cannot be encoded',
    async *source() {
      yield { number: 1 };
      yield { number: 2n };
      for (;;) yield { number: 3 };
    },
    status: FAILED,
  },
  {
    name: 'yields a message that is too large',
    async *source() {
      yield { number: 1 };
      yield { filling: Buffer.alloc(2 * LARGEST) };
      for (;;) yield { number: 3 };
    },
    status: [status.RESOURCE_EXHAUSTED],
    messages: 1,
  },
  {
    name: 'writes after `end()`',
    handler(call) {
      call.write({ number: 1 });
      call.end();
      call.write({ number: 2 });
    },
    status: [status.OK],
    messages: 1,
  },
  {
    name: 'ends twice',
    handler(call) {
      call.write({ number: 1 });
      call.end();
      call.end();
    },
    status: [status.OK],
    messages: 1,
  },
  {
    name: 'fails after `end()`',
    handler(call) {
      call.write({ number: 1 });
      call.end();
      call.emit('error', new Error(SECRET));
    },
    status: [status.OK],
    messages: 1,
  },
  {
    name: 'returns, and never ends its call',
    async *source() {
      yield { number: 1 };
      return;
    },
    handler(call) {
      call.write({ number: 1 });
    },
    status: OK_OR_FAILED,
    messages: 1,
  },
  {
    name: 'sets a header once they are sent',
    async *source(tools) {
      tools.sendHeader();
      yield { number: 1 };
      tools.header('x-late', 'much too late');
    },
    status: OK_OR_FAILED,
    messages: 1,
  },
  {
    name: 'sets a header with a line break in it',
    async *source(tools) {
      tools.header('x-name', 'a\r\nset-cookie: b');
      yield { number: 1 };
    },
    status: OK_OR_FAILED,
  },
  {
    name: 'sets a trailer `grpc-status: 0`, and fails',
    // biome-ignore lint/correctness/useYield: it comes to no message.
    async *source(tools) {
      tools.trailer('grpc-status', '0');
      throw tools.status(status.NOT_FOUND, 'no such log');
    },
    status: [status.NOT_FOUND, ...FAILED],
  },
  {
    name: 'sets a trailer `connection: close`',
    async *source(tools) {
      yield { number: 1 };
      tools.trailer('connection', 'close');
    },
    status: OK_OR_FAILED,
  },
  {
    name: 'fails with a line break in its details',
    // biome-ignore lint/correctness/useYield: it comes to no message.
    async *source(tools) {
      throw tools.status(status.NOT_FOUND, 'no\r\ngrpc-status: 0');
    },
    status: [status.NOT_FOUND],
  },
  {
    name: 'fails with half a surrogate in its details',
    // biome-ignore lint/correctness/useYield: it comes to no message.
    async *source(tools) {
      throw tools.status(status.NOT_FOUND, 'no such \ud83d log');
    },
    status: [status.NOT_FOUND],
  },
  {
    name: 'fails with details of 100 KB',
    // biome-ignore lint/correctness/useYield: it comes to no message.
    async *source(tools) {
      throw tools.status(status.NOT_FOUND, 'x'.repeat(100_000));
    },
    status: [status.NOT_FOUND],
  },
  {
    name: 'sets trailers of 100 KB',
    async *source(tools) {
      yield { number: 1 };
      for (let n = 0; n < 100; n++) tools.trailer(`x-${n}`, 'x'.repeat(1000));
    },
    status: OK_OR_FAILED,
    messages: 1,
  },
  {
    name: 'ignores `drain`',
    handler(call) {
      for (let n = 0; n < 16_384; n++) call.write({ filling: Buffer.alloc(16_384, n) });
    },
    async client(client) {
      const before = await client.server.state();
      const call = client.open({ read: false });
      await sleep(1000);
      const after = await client.server.state();
      call.reset();
      const held = Math.round((after.rss - before.rss) / 2 ** 20);
      must(held < 64, `${held} MiB held`);
    },
  },
];
