import { status } from '@grpc/grpc-js';
import { replyOf } from '../client.ts';
import { filling, must, parked, type Row, type Source, sleep } from '../row.ts';

const floods: Source = async function* () {
  for (;;) yield { filling };
};

const hundred: Source = async function* () {
  for (let number = 1; number <= 100; number++) yield { number, filling };
};

/** Messages of 16 KiB that any window may hold: 1 MiB. */
const AHEAD = 64;

const inOrder = (messages: number[]) => messages.every((number, index) => number === index + 1);

/** A client that … */
export const reads: Row[] = [
  {
    name: 'never reads',
    source: floods,
    async client(client) {
      const call = client.open({ read: false });
      await client.arrived(1);
      await sleep(500);
      const { pulled } = await client.server.state();
      call.reset();
      must(pulled <= AHEAD, `${pulled} messages pulled ahead`);
    },
  },
  {
    name: 'never reads, in 50 streams: memory',
    source: floods,
    async client(client) {
      await client.read({ path: '/trust.Trust/Next' });
      const before = await client.server.state(true);
      const peer = client.peer();
      const calls = Array.from({ length: 50 }, () => client.open({ read: false }, peer));
      await client.arrived(50);
      await sleep(500);
      const after = await client.server.state();
      for (const call of calls) call.reset();
      const grown = Math.round((after.rss - before.rss) / 2 ** 20);
      must(grown < 64, `${grown} MiB held`);
    },
  },
  {
    name: 'reads slowly',
    source: hundred,
    async client(client) {
      const call = client.open({ read: false });
      let read = 0;
      let ahead = 0;
      while (!call.stream.readableEnded && read < 100) {
        const chunk = call.stream.read(16 * 1024 + 12) as Buffer | null;
        if (chunk) read += 1;
        else call.stream.read();
        await sleep(2);
        if (read % 20 === 0) ahead = Math.max(ahead, (await client.server.state()).pulled - read);
      }
      call.stream.resume();
      must(ahead <= AHEAD, `${ahead} messages pulled ahead`);
      const reply = await replyOf(call);
      must(reply.code === status.OK, 'no OK');
    },
  },
  {
    name: 'opens its window after half a second',
    source: hundred,
    async client(client) {
      const peer = client.peer(0);
      const call = client.open({}, peer);
      await client.arrived(1);
      await sleep(500);
      peer.session.settings({ initialWindowSize: 65_535 });
      const reply = await replyOf(call);
      must(inOrder(reply.messages), 'messages out of order');
      return reply;
    },
    status: [status.OK],
    messages: 100,
  },
  {
    name: 'reads an endless source that is always ready, while another asks',
    async *source() {
      for (;;) yield { number: 1 };
    },
    async client(client) {
      const call = client.open();
      await client.arrived(1);
      await sleep(100);
      const reply = await client.read({ path: '/trust.Trust/Next' });
      call.reset();
      return reply;
    },
    status: [status.OK],
    messages: 3,
  },
];

/** A client whose deadline … */
export const deadlines: Row[] = [
  {
    name: 'passes while the source is parked',
    async *source(tools) {
      yield { number: 1 };
      yield await parked(tools);
    },
    client: client => client.read({ headers: { 'grpc-timeout': '200m' } }),
    status: [status.DEADLINE_EXCEEDED],
    messages: 1,
  },
  {
    name: 'passes before the first message',
    async *source(tools) {
      yield await parked(tools);
    },
    client: client => client.read({ headers: { 'grpc-timeout': '100m' } }),
    status: [status.DEADLINE_EXCEEDED],
    messages: 0,
  },
  {
    name: 'has passed when it asks',
    async *source(tools) {
      yield await parked(tools);
    },
    client: client => client.read({ headers: { 'grpc-timeout': '1n' } }),
    status: [status.DEADLINE_EXCEEDED],
  },
  {
    name: 'passes while it reads nothing',
    source: floods,
    async client(client) {
      client.open({ read: false, headers: { 'grpc-timeout': '300m' } }, client.peer(0));
      await client.arrived(1);
      await sleep(500);
      await client.until('`finally` does not run', ({ finished }) => finished === 1, 1000);
    },
  },
  {
    name: 'passes while the source is always ready',
    async *source() {
      for (;;) yield { number: 1 };
    },
    async client(client) {
      const call = client.open({ headers: { 'grpc-timeout': '300m' } });
      const reply = await replyOf(call);
      call.reset();
      return { ...reply, messages: [] };
    },
    status: [status.DEADLINE_EXCEEDED],
  },
  {
    name: 'is a month away',
    async *source() {
      await sleep(300);
      yield { number: 1 };
    },
    client: client => client.read({ headers: { 'grpc-timeout': '720H' } }),
    status: [status.OK],
    messages: 1,
  },
];
