import { status } from '@grpc/grpc-js';
import { replyOf } from '../client.ts';
import { filling, must, parked, type Row, sleep } from '../row.ts';

/** A server that … */
export const processes: Row[] = [
  {
    name: 'is told to end (SIGTERM) while 20 endless streams are parked',
    async *source(tools) {
      yield { number: 1 };
      yield await parked(tools);
    },
    async client(client) {
      const peer = client.peer();
      const calls = Array.from({ length: 20 }, () => client.open({}, peer));
      await client.arrived(20);
      client.server.kill('SIGTERM');
      return Promise.all(calls.map(call => replyOf(call)));
    },
    status: [status.UNAVAILABLE],
    exits: true,
  },
  {
    name: 'is told to end while 20 clients read nothing',
    async *source() {
      for (;;) yield { filling };
    },
    async client(client) {
      const peer = client.peer(0);
      for (let n = 0; n < 20; n++) client.open({ read: false }, peer);
      await client.arrived(20);
      client.server.kill('SIGTERM');
    },
    exits: true,
  },
  {
    name: 'is told to end while a stream has 200 ms to go',
    async *source() {
      for (let number = 1; number <= 10; number++) {
        await sleep(20);
        yield { number };
      }
    },
    async client(client) {
      const call = client.open();
      await client.arrived(1);
      client.server.kill('SIGTERM');
      return replyOf(call);
    },
    status: [status.OK],
    messages: 10,
    exits: true,
  },
  {
    name: 'is told to end, and the `finally` of a source takes 100 ms',
    async *source(tools) {
      try {
        yield await parked(tools);
      } finally {
        await sleep(100);
      }
    },
    async client(client) {
      const call = client.open();
      await client.arrived(1);
      client.server.kill('SIGTERM');
      return replyOf(call);
    },
    status: [status.UNAVAILABLE],
    exits: true,
  },
  {
    name: 'is told to end while a client is gone without a word',
    async *source(tools) {
      yield await parked(tools);
    },
    async client(client) {
      const { peer, proxy } = await client.far();
      client.open({}, peer);
      await client.arrived(1);
      proxy.faults.blackHole = true;
      client.server.kill('SIGTERM');
    },
    exits: true,
  },
  {
    name: 'has a logger, and hooks, that throw',
    async *source() {
      yield { number: 1 };
      yield { number: 2 };
    },
    logs: true,
    without: { bare: 'has none' },
    status: [status.OK],
    messages: 2,
  },
  {
    name: 'has a logger, and hooks, that throw, and a client that leaves',
    async *source(tools) {
      yield { number: 1 };
      yield await parked(tools);
    },
    logs: true,
    without: { bare: 'has none' },
    async client(client) {
      const call = client.open();
      await client.arrived(1);
      call.reset();
    },
  },
  {
    name: 'has a promise that rejects and that nobody waits for',
    async *source() {
      void Promise.reject(new Error('nobody waits for this'));
      yield { number: 1 };
    },
    status: [status.OK],
    messages: 1,
  },
  {
    name: 'has a timer that throws',
    async *source() {
      setTimeout(() => {
        throw new Error('nobody catches this');
      });
      await sleep(50);
      yield { number: 1 };
    },
    status: [status.OK],
    messages: 1,
  },
  {
    name: 'is blocked for a second, while a client leaves',
    async *source(tools) {
      yield { number: 1 };
      const end = Date.now() + 1000;
      while (Date.now() < end);
      yield await parked(tools);
    },
    async client(client) {
      const call = client.open();
      await sleep(100);
      call.reset();
      await client.arrived(1);
    },
  },
  {
    name: 'has served 2,000 calls of clients that left: memory',
    async *source(tools) {
      yield { number: 1 };
      yield await parked(tools);
    },
    async client(client) {
      let heap = 0;
      for (let round = 0; round < 20; round++) {
        const peer = client.peer();
        const calls = Array.from({ length: 100 }, () => client.open({}, peer));
        await client.arrived(100 * (round + 1));
        for (const call of calls) call.reset();
        await client.until('some `finally` do not run', ({ started, finished }) => started === finished);
        peer.session.destroy();
        if (round === 9) heap = (await client.server.state(true)).heap;
      }
      await sleep(200);
      const grown = ((await client.server.state(true)).heap - heap) / 2 ** 20;
      must(grown < 2, `${grown.toFixed(1)} MiB grown`);
    },
  },
  {
    name: 'has served 300 calls with deadlines: timers',
    async *source(tools) {
      yield { number: 1 };
      yield await parked(tools);
    },
    async client(client) {
      const { timers } = await client.server.state();
      const peer = client.peer();
      const headers = { 'grpc-timeout': '1H' };
      const calls = Array.from({ length: 300 }, () => client.open({ headers }, peer));
      await client.arrived(300);
      for (const call of calls) call.reset();
      peer.session.destroy();
      await client.until('timers are left', state => state.timers <= timers + 3);
    },
  },
];
